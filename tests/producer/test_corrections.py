"""Corrections come back from Label Studio's exports and from plain files, row by row."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from db.corrections import CorrectionFilter, FoundCorrection, Stored, find_corrections
from db.database import Database
from db.errors import UnknownModel
from db.reviews import store_reviews
from producer.corrections import CorrectionsRequest, Imported, import_corrections
from producer.errors import ColumnError, CorrectionError, GuessError, SourceError
from tests.corrected import ANSWERS, add_model, score
from tests.samples import SomeReview

AT = "2026-11-24T10:00:00.500000Z"
Bring = Callable[..., Imported]
#: What each model's reviews r0 to r2 are labelled, as Label Studio gives it, and as it is kept.
LABELLED: dict[str, list[tuple[Any, str]]] = {
    "sentiment": [(["negative"], "negative"), (["positive"], "positive"), (["positive"], "positive")],
    "topics": [(["service", "price"], "price|service"), (["price"], "price"), ([], "")],
    "mark": [(4, "4.0"), (2.5, "2.5"), (-1, "-1.0")],
}


@pytest.fixture
def ids(database: Database) -> dict[str, list[int]]:
    """The reviews that a model of each kind has scored, in a source of its name."""
    with database.write() as connection:
        return {name: score(connection, add_model(connection, name), f"{name}.csv")[1] for name in ANSWERS}


@pytest.fixture
def bring(database: Database, tmp_path: Path, ids: dict[str, list[int]]) -> Bring:
    """Write a file and import it."""

    def write_and_import(name: str, content: object, **said: str) -> Imported:
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return import_corrections(database, CorrectionsRequest(file=str(path), **said))

    return write_and_import


def kept(database: Database) -> dict[tuple[str, str], FoundCorrection]:
    """All corrections by external id and annotator."""
    with database.read() as connection:
        return {(one.external_id, one.annotator): one for one in find_corrections(connection, CorrectionFilter())}


def data(model: str, number: int, review_id: int) -> dict[str, object]:
    """The data of a task, as `results --format label-studio` writes it."""
    named = {"review_id": review_id, "source": f"{model}.csv", "external_id": f"r{number}", "model": f"{model}@1"}
    return {"text": f"text {number}", "text_pair": "", **named}


def annotation(value: object, who: object = 7, **more: object) -> dict[str, object]:
    """An annotation of an export, of a choice or a number."""
    kind = "choices" if isinstance(value, list) else "number"
    region = {"id": "x", "from_name": "label", "to_name": "text", "type": kind, "value": {kind: value}}
    result = [] if value == [] else [region]
    times = {"created_at": "2026-11-24T09:59:00Z", "updated_at": AT}
    return {"id": 101, "completed_by": who, "result": result, "was_cancelled": False, **times, **more}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_export_of_label_studio_comes_back(
    database: Database, ids: dict[str, list[int]], bring: Bring, name: str
) -> None:
    tasks: list[dict[str, object]] = [
        {"id": 9 - at, "data": data(name, at, ids[name][at]), "annotations": [annotation(value)], "predictions": [1]}
        for at, (value, _) in enumerate(LABELLED[name])
    ]
    tasks += [
        {"id": 20, "data": data(name, 3, ids[name][3]), "annotations": [], "predictions": [1]},
        {"id": 21, "data": data(name, 3, ids[name][3]), "annotations": [annotation([], was_cancelled=True)]},
    ]
    first = bring("export.json", tasks)
    assert first == Imported("task", read=5, stored=Stored(new=3), unlabelled=2, refused=[])
    found = kept(database)
    assert {key: one.label for key, one in found.items()} == {
        (f"r{at}", "7"): label for at, (_, label) in enumerate(LABELLED[name])
    }
    assert {one.corrected_at for one in found.values()} == {datetime(2026, 11, 24, 10, 0, 0, 500_000, UTC)}
    assert bring("export.json", tasks).stored == Stored(unchanged=3)


#: How JSON-MIN writes the same labels: as label-studio-sdk 2.1.2 converted them.
MINIMAL: dict[str, list[object]] = {
    "sentiment": ["negative", "positive", "positive"],
    "topics": [{"choices": ["service", "price"]}, "price", ...],
    "mark": [[{"number": 4}], [{"number": 2.5}], [{"number": -1}]],
}


@pytest.mark.parametrize("name", ANSWERS)
def test_its_smaller_export_says_the_same(
    database: Database, ids: dict[str, list[int]], bring: Bring, name: str
) -> None:
    times = {"created_at": "2026-11-24T09:59:00Z", "updated_at": AT, "lead_time": 3.2}
    tasks: list[dict[str, object]] = [
        {
            **data(name, at, ids[name][at]),
            "id": 9 - at,
            **({} if value is ... else {"label": value}),
            "annotator": 7,
            "annotation_id": 101,
            **times,
        }
        for at, value in enumerate(MINIMAL[name])
    ]
    tasks.append({**data(name, 3, ids[name][3]), "id": 20, "annotator": None, "annotation_id": None})
    assert bring("min.json", tasks) == Imported("task", read=4, stored=Stored(new=3), unlabelled=1, refused=[])
    assert {one.external_id: one.label for one in kept(database).values()} == {
        f"r{at}": label for at, (_, label) in enumerate(LABELLED[name])
    }


def test_every_annotator_counts_by_name(database: Database, ids: dict[str, list[int]], bring: Bring) -> None:
    ada = annotation(["negative"], {"id": 1, "email": "ada@shop.example"})
    earlier = annotation(["positive"], 7, updated_at="2026-11-23T10:00:00Z")
    task = {
        "id": 1,
        "data": data("sentiment", 0, ids["sentiment"][0]),
        "annotations": [ada, annotation(["negative"]), earlier],
    }
    assert bring("export.json", [task]).stored == Stored(new=2, outdated=1)
    assert {who: one.label for (_, who), one in kept(database).items()} == {
        "ada@shop.example": "negative",
        "7": "negative",
    }


def test_a_control_of_another_name_is_named(database: Database, ids: dict[str, list[int]], bring: Bring) -> None:
    done = annotation(["negative"])
    done["result"][0]["from_name"] = "mood"  # type: ignore[index]
    task = {"id": 1, "data": data("sentiment", 0, ids["sentiment"][0]), "annotations": [done]}
    with pytest.raises(GuessError, match=r"give --label COL.*'mood'"):
        bring("export.json", [task])
    assert bring("export.json", [task], label="mood").stored == Stored(new=1)


def test_plain_files_come_back(database: Database, bring: Bring) -> None:
    csv = "external_id,source,label\nr0,sentiment.csv,negative\nr1,sentiment.csv,\nr2,sentiment.csv,positive\n"
    said = {"model": "sentiment", "annotator": "ada"}
    assert bring("c.csv", csv, **said) == Imported("line", read=3, stored=Stored(new=2), unlabelled=1, refused=[])
    assert [(one.label, one.predicted) for one in kept(database).values()] == [
        ("negative", "positive"),
        ("positive", "positive"),
    ]
    assert bring("c.csv", csv, **said).stored == Stored(unchanged=2)
    lines = [
        {"key": "r3", "right": ["service"], "annotator": "bob", "corrected_at": "2026-11-24T11:00:00+01:00"},
        {"key": "r2", "right": [], "annotator": "bob"},
        {"key": "r1", "right": "price|service", "annotator": "bob"},
    ]
    text = "\n".join(map(json.dumps, lines))
    assert bring("c.jsonl", text, model="topics@1", source="topics.csv", id="key", label="right").stored == Stored(
        new=3
    )
    found = kept(database)
    assert [found[f"r{at}", "bob"].label for at in (1, 2, 3)] == ["price|service", "", "service"]
    assert found["r3", "bob"].corrected_at == datetime(2026, 11, 24, 10, tzinfo=UTC)


def test_a_list_of_objects_is_a_plain_file_too(database: Database, bring: Bring) -> None:
    rows = [{"id": "r0", "label": "negative", "model": "sentiment@1", "source": "sentiment.csv"}]
    assert bring("rows.json", rows).stored == Stored(new=1)


def test_in_a_csv_an_empty_cell_says_nothing_and_a_bar_says_none_of_them(database: Database, bring: Bring) -> None:
    csv = "id,label,model,source\nr0,,topics@1,topics.csv\nr1,|,topics@1,topics.csv\n"
    assert bring("c.csv", csv) == Imported("line", read=2, stored=Stored(new=1), unlabelled=1, refused=[])
    assert kept(database)["r1", "unknown"].label == ""


def test_rows_that_cannot_be_stored_are_told_of_one_by_one(
    database: Database, ids: dict[str, list[int]], bring: Bring
) -> None:
    other = ids["topics"][0]
    rows = [
        "r9,sentiment.csv,positive,sentiment@1,,",
        "r0,sentiment.csv,meh,sentiment@1,,",
        "r0,nowhere.csv,positive,sentiment@1,,",
        f"r0,sentiment.csv,positive,sentiment@1,{other},",
        "r0,,positive,sentiment@1,,",
        "r0,sentiment.csv,positive,sentiment@9,,",
        "r0,sentiment.csv,positive,,,",
        "r0,topics.csv,price|meh|service,topics@1,,",
        "r0,mark.csv,much,mark@1,,",
        "r0,sentiment.csv,positive,sentiment@1,,yesterday",
        ",sentiment.csv,positive,sentiment@1,,",
        "r1,sentiment.csv,positive,sentiment@1,,",
    ]
    imported = bring("c.csv", "\n".join(["external_id,source,label,model,review_id,corrected_at", *rows]) + "\n")
    assert imported.stored == Stored(new=1)
    assert imported.read == imported.stored.new + len(imported.refused) == 12
    assert [(one.row, one.external_id, one.reason) for one in imported.refused] == [
        (2, "r9", "no review has the id 'r9' in sentiment.csv"),
        (3, "r0", "sentiment@1 does not give the label 'meh'; it gives the labels 'negative', 'positive'"),
        (4, "r0", "no review has the id 'r0' in nowhere.csv"),
        (5, "r0", f"review {other} is no text of 'r0' in sentiment.csv"),
        (6, "r0", "'r0' is in several sources, mark.csv, sentiment.csv, topics.csv; give --source"),
        (7, "r0", "sentiment has no version or alias '9'; its versions are 1"),
        (8, "r0", "no model is told; give --model for such rows"),
        (9, "r0", "topics@1 does not give the label 'meh'; it gives the labels 'price', 'service'"),
        (10, "r0", "the target is 'much'; it must be a finite number"),
        (11, "r0", "the corrected_at is 'yesterday'; write it as in 2026-11-28T14:05:00+01:00"),
        (12, "", "no id"),
    ]
    assert list(kept(database)) == [("r1", "unknown")]


def test_rows_beyond_one_transaction_are_all_looked_up(database: Database, bring: Bring) -> None:
    with database.write() as connection:
        many = [SomeReview(f"n{number}", f"{number}") for number in range(2_500)]
        store_reviews(connection, "sentiment.csv", many)
    lines = [f"n{number},positive" for number in range(2_501)]
    said = {"model": "sentiment", "source": "sentiment.csv"}
    imported = bring("c.csv", "\n".join(["id,label", *lines]) + "\n", **said)
    assert (imported.read, imported.stored.new) == (2_501, 2_500)
    assert [(one.row, one.external_id) for one in imported.refused] == [(2_502, "n2500")]


def test_of_a_changed_text_the_newest_is_meant_unless_it_is_told_which(
    database: Database, ids: dict[str, list[int]], bring: Bring
) -> None:
    old = ids["sentiment"][0]
    with database.write() as connection:
        (new,) = store_reviews(connection, "sentiment.csv", [SomeReview("r0", "another text")])
    header = "external_id,source,label,model,review_id,annotator\n"
    rows = "r0,sentiment.csv,positive,sentiment@1,,ada\n" + f"r0,sentiment.csv,positive,sentiment@1,{old},bob\n"
    bring("c.csv", header + rows)
    assert {who: one.review_id for (_, who), one in kept(database).items()} == {"ada": new, "bob": old}


@pytest.mark.parametrize(
    ("name", "content", "said", "error", "words"),
    [
        ("c.csv", "id,label\nr0,positive\n", {}, CorrectionError, "give --model; models are: mark, sentiment, topics"),
        ("c.csv", "id,label\nr0,positive\n", {"model": "mood"}, UnknownModel, "no model is named 'mood'"),
        ("c.csv", "key,label\nr0,positive\n", {"model": "sentiment"}, GuessError, "give --id COL"),
        ("c.csv", "id,right\nr0,positive\n", {"model": "sentiment"}, GuessError, "give --label COL"),
        ("c.csv", "id,right\nr0,x\n", {"model": "sentiment", "label": "rigth"}, ColumnError, "did you mean 'right'"),
        ("c.csv", "id,label\n", {"model": "sentiment"}, CorrectionError, "has no rows"),
        ("c.json", "[]", {"model": "sentiment"}, SourceError, "is an empty list"),
        ("c.json", "{}", {"model": "sentiment"}, SourceError, "is JSON, but no list of objects"),
        ("c.json", "[1]", {"model": "sentiment"}, SourceError, "is JSON, but no list of objects"),
        ("c.json", "[", {"model": "sentiment"}, SourceError, "is not JSON"),
        ("c.xlsx", "", {"model": "sentiment"}, SourceError, "extension"),
    ],
)
def test_files_that_cannot_be_read_as_a_whole(
    database: Database, bring: Bring, name: str, content: str, said: dict[str, str], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        bring(name, content, **said)
    assert "\n" not in str(caught.value)
    assert kept(database) == {}


def test_values_of_the_wrong_kind_are_told_of(bring: Bring) -> None:
    good = {"id": "r0", "label": "positive", "model": "sentiment", "source": "sentiment.csv"}
    wrong = [{"annotator": ["ada"]}, {"source": 1.5}, {"annotator": "x" * 256}, {"label": ["positive", "negative"]}]
    imported = bring("rows.jsonl", "\n".join(json.dumps(good | one) for one in wrong))
    assert [one.reason for one in imported.refused] == [
        "the annotator is a list, not text",
        "the source is a number, not text",
        "the annotator has 256 characters; at most 255 are kept",
        "the label is a list; it must be text, a whole number, true or false",
    ]


def test_a_file_that_is_not_there(database: Database, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="can not be read: No such file"):
        import_corrections(database, CorrectionsRequest(file=str(tmp_path / "no.json"), model="sentiment"))
