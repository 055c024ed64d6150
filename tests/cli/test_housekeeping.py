"""`prune`, `forget` and `vacuum` tell first, do it with --yes, and say in one line what is wrong."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from click.testing import CliRunner
from sqlalchemy import func, select, update

from cli.age import Age, _read
from cli.main import COMMANDS, reviewmill
from db.claims import claim_chunk, finish_chunk
from db.jobs import NewJob, RejectedRow, create_job, settle_job
from db.predictions import Scored, store_predictions
from db.registry import register_model
from db.reviews import store_reviews
from db.schema import open_database
from db.tables import Job, Prediction, Review
from tests.samples import SomeReview, facts, verdict

Run = Callable[..., CompletedProcess[str]]
PRUNE = ("prune", "--older-than", "90d")


@pytest.fixture(autouse=True)
def _jobs() -> None:
    """An old job of two reviews and a row that was refused, and a young one of one."""
    with open_database().write() as connection:
        model = register_model(connection, "sentiment", Path("/models/sentiment"), facts(), kind="directory")
        for names, days in ((("a", "b"), 100), (("c",), 1)):
            ids = store_reviews(connection, "f.csv", [SomeReview(name, f"text {name}") for name in names])
            refused = [RejectedRow(9, "z", "no text")] if days == 100 else []
            params = {"source": "f.csv"}
            new = NewJob("score", params, [ids], model_id=model.id, rejected=refused)
            job_id, (chunk_id,) = create_job(connection, new)
            held = claim_chunk(connection, chunk_id, "me", 60)
            finish_chunk(connection, held, scored=len(ids))
            settle_job(connection, job_id)
            store_predictions(connection, model.id, [Scored(id_, job_id, verdict(0.9)) for id_ in ids])
            at = datetime.now(UTC) - timedelta(days=days)
            connection.execute(update(Job).where(Job.id == job_id).values(finished_at=at))
            connection.execute(update(Prediction).where(Prediction.job_id == job_id).values(scored_at=at))
            connection.execute(update(Review).where(Review.id.in_(ids)).values(created_at=at))


def count(table: type) -> int:
    with open_database().read() as connection:
        return connection.scalar(select(func.count()).select_from(table))


def ok(result: CompletedProcess[str]) -> CompletedProcess[str]:
    assert result.returncode == 0, result
    return result


def test_prune_tells_first_and_how_to_go_on(run: Run) -> None:
    told = ok(run(*PRUNE))
    rows = dict(re.findall(r"^(\w+) +([0-9]+) ", told.stdout, re.MULTILINE))
    assert rows == {"predictions": "2", "failures": "1", "jobs": "1", "chunks": "1", "reviews": "2"}
    assert "of review a of f.csv" in told.stdout
    assert told.stderr.splitlines()[-1].endswith("To go on: reviewmill prune --older-than 90d --yes")
    assert (count(Prediction), count(Review), count(Job)) == (3, 3, 2)
    done = ok(run(*PRUNE, "--yes"))
    assert dict(re.findall(r"^(\w+) +([0-9]+) ", done.stdout, re.MULTILINE)) == rows
    assert "Deleted 7 rows" in done.stderr
    assert (count(Prediction), count(Review), count(Job)) == (1, 1, 1)
    assert "Nothing was old enough" in ok(run(*PRUNE, "--yes")).stderr
    assert "is there to be deleted" in ok(run(*PRUNE)).stderr
    assert "there is no job 1" in run("jobs", "show", 1).stderr


def test_json_of_the_dry_run_and_of_the_deed_tell_the_same(run: Run) -> None:
    told = json.loads(ok(run(*PRUNE, "--json")).stdout)
    done = json.loads(ok(run(*PRUNE, "--yes", "--json")).stdout)
    assert (told["dry_run"], done["dry_run"], told["rows"], done["rows"]) == (True, False, 7, 7)
    assert {name: one["rows"] for name, one in told["tables"].items()} == {
        name: one["rows"] for name, one in done["tables"].items()
    }
    assert told["tables"]["predictions"]["oldest"] < told["before"]
    assert done["longest_lock_s"] >= 0


def test_a_job_of_which_something_is_left_says_that_it_was_pruned(run: Run) -> None:
    with open_database().write() as connection:
        reviews = list(connection.scalars(select(Review.id).where(Review.external_id == "a")))
        create_job(connection, NewJob("score", {}, [reviews], model_id=1))
    ok(run(*PRUNE, "--yes"))
    shown = json.loads(ok(run("jobs", "show", 1, "--json")).stdout)
    assert (shown["total"], shown["scored"], shown["failed"]) == (3, 2, 1)
    assert shown["params"]["pruned"]
    assert ["results of it were pruned on" in line for line in shown["advice"]] == [True]
    assert "pruned" in ok(run("jobs", "show", 1)).stdout
    assert [one["external_id"] for one in json.loads(ok(run("results", "--job", 1, "--json")).stdout)] == ["a"]
    refused = run("jobs", "retry", 1)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "score its source again" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("prune",), "Missing option '--older-than'"),
        (("prune", "--older-than", "soon"), "'soon' is no age; write it as in 90d, 12h, 30m or 4w, or a date"),
        (("prune", "--older-than", "-1d"), "'-1d' is no age"),
        (("prune", "--older-than", "90"), "'90' is no age"),
        (("prune", "--older-than", "2999-01-01"), "'2999-01-01' lies ahead"),
        (("prune", "--older-than", "999999w"), "'999999w' is no age"),
        (("prune", "--older-than", "1d", "--job", "99"), "there is no job 99"),
        (("prune", "--older-than", "1d", "--model", "nobody"), "no model is named 'nobody'"),
        (("forget", "nobody"), "no review has the id 'nobody'"),
        (("forget", "a", "--source", "g.csv"), "no review of g.csv has the id 'a'; it is in: f.csv"),
    ],
)
def test_what_is_wrong_is_one_line(run: Run, arguments: tuple[str, ...], says: str) -> None:
    wrong = run(*arguments, "--yes")
    assert wrong.returncode == 2
    assert says in wrong.stderr.splitlines()[-1]
    assert "Traceback" not in wrong.stderr
    assert wrong.stdout == ""
    assert (count(Prediction), count(Review), count(Job)) == (3, 3, 2)


@pytest.mark.parametrize(
    ("written", "age"),
    [
        ("90d", timedelta(days=90)),
        ("12h", timedelta(hours=12)),
        ("30m", timedelta(minutes=30)),
        ("4w", timedelta(weeks=4)),
        ("0d", timedelta()),
        ("99999w", timedelta(weeks=99_999)),
        ("2026-01-31T18:00Z", datetime(2026, 1, 31, 18, tzinfo=UTC)),
        ("2026-01-31", datetime(2026, 1, 31).astimezone(UTC)),
        ("1.5d", None),
        ("d", None),
        ("9 d", None),
        ("٣d", None),
        ("", None),
        ("2026-02-30", None),
    ],
)
def test_ages_are_read(written: str, age: timedelta | datetime | None) -> None:
    assert _read(written) == age
    assert Age().convert(timedelta(1), None, None) == timedelta(1)


def test_forget_tells_first_and_what_it_cannot_reach(run: Run) -> None:
    told = ok(run("forget", "b"))
    assert re.findall(r"^(\w+) +([0-9]+) ", told.stdout, re.MULTILINE) == [
        ("reviews", "1"),
        ("predictions", "1"),
        ("chunks", "1"),
    ]
    assert "It is in: f.csv" in told.stderr
    assert "the weights of models" in told.stderr
    assert told.stderr.splitlines()[-1].endswith("reviewmill forget b --yes")
    assert count(Review) == 3
    done = ok(run("forget", "b", "--yes", "--json"))
    document = json.loads(done.stdout)
    assert (document["dry_run"], document["sources"], document["tables"]["reviews"]["rows"]) == (False, ["f.csv"], 1)
    assert any("vacuum --full" in one for one in document["out_of_reach"])
    assert [one["external_id"] for one in json.loads(ok(run("results", "--json")).stdout)] == ["a", "c"]
    assert json.loads(ok(run("jobs", "show", 1, "--json")).stdout)["scored"] == 2
    assert "no review has the id 'b'" in run("forget", "b").stderr
    # A row that was refused under its id is a failure only.
    assert json.loads(ok(run("forget", "z", "--yes", "--json")).stdout)["tables"].keys() == {"failures"}


def test_ids_with_any_characters_are_told_fit_for_a_shell(run: Run) -> None:
    with open_database().write() as connection:
        store_reviews(connection, "f.csv", [SomeReview("it's; rm -rf *", "text")])
    last = ok(run("forget", "it's; rm -rf *")).stderr.splitlines()[-1]
    assert last.endswith("""reviewmill forget 'it'"'"'s; rm -rf *' --yes""")


def test_vacuum_tells_first_and_frees(run: Run, tmp_path: Path) -> None:
    with open_database().write() as connection:
        store_reviews(connection, "f.csv", [SomeReview(f"n{n}", f"words {n} " * 200) for n in range(2_000)])
        connection.execute(update(Review).values(created_at=datetime(2020, 1, 1, tzinfo=UTC)))
    ok(run("prune", "--older-than", "90d", "--yes"))
    file = Path(open_database().url.database)
    told = ok(run("vacuum", "--full"))
    assert "of that free" in told.stdout
    assert told.stderr.splitlines()[-1].endswith("reviewmill vacuum --full --yes")
    assert not json.loads(ok(run("vacuum", "--json")).stdout)["gives_back"]
    assert "only a rewrite gives them back" in ok(run("vacuum", "--yes")).stderr
    before = file.stat().st_size
    document = json.loads(ok(run("vacuum", "--full", "--yes", "--json")).stdout)
    assert document["bytes_freed"] > 2_000_000
    assert file.stat().st_size < before - 2_000_000
    assert json.loads(ok(run("vacuum", "--json")).stdout)["gives_back"]


def test_vacuum_removes_what_nothing_uses_and_nothing_else(run: Run, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with open_database().write() as connection:
        job_id, _ = create_job(connection, NewJob("finetune", {"name": "stars"}, []))
        register_model(connection, "stars", home / "models/stars/job-3-2", facts("a" * 64), kind="finetuned")
    assert job_id == 3
    used, unused = "a" * 32 + "-" + "0" * 12, "b" * 32 + "-" + "0" * 12
    kept = [home / "models/stars/job-3-2", home / "models/stars/mine", home / "engines" / used, home / "engines/mine"]
    gone = [home / "models/stars/job-3-1", home / "models/stars/.job-3.training", home / "engines" / unused]
    for folder in [*kept, *gone]:
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(bytes(1_000))
    told = json.loads(ok(run("vacuum", "--json")).stdout)
    # Graphs lie in a folder that a setting of the tests names; it may be others' too.
    assert told["files"] == sorted(map(str, gone[:2]))


def test_copies_from_the_store_of_models_that_are_not_there_go(run: Run, tmp_path: Path) -> None:
    cache, digests = tmp_path / "home" / "models-cache", [letter * 64 for letter in "abce"]
    with open_database().write() as connection:
        register_model(connection, "stars", f"store:{digests[0]}", facts(digests[0]), kind="finetuned")
        for base, chunks in ((digests[1], [[]]), (digests[2], [])):
            job_id, _ = create_job(connection, NewJob("finetune", {"base_directory": f"store:{base}"}, chunks))
        settle_job(connection, job_id)
    for name in (*digests, f".{digests[3]}.partial", "mine"):
        (cache / name).mkdir(parents=True)
        (cache / name / "file").write_bytes(bytes(1_000))
    gone = [cache / name for name in (f".{digests[3]}.partial", digests[2], digests[3])]
    told = json.loads(ok(run("vacuum", "--json")).stdout)
    assert told["files"] == sorted(map(str, gone))
    ok(run("vacuum", "--yes"))
    assert not any(path.exists() for path in gone)
    # That of a version, and that of the base of a training that is not over, stay.
    assert all((cache / name).exists() for name in (*digests[:2], "mine"))


def test_graphs_of_models_that_are_not_there_go(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REVIEWMILL_ENGINES")
    engines = tmp_path / "home" / "engines"
    used, unused = engines / ("d" * 32 + "-" + "0" * 12), engines / ("b" * 32 + "-" + "0" * 12)
    for folder in (used, unused, engines / "mine"):
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(bytes(1_000))
    told = json.loads(ok(run("vacuum", "--json")).stdout)
    assert (told["files"], told["files_bytes"]) == ([str(unused)], 1_000)
    assert unused.exists()
    ok(run("vacuum", "--yes"))
    assert not unused.exists()
    assert used.exists()
    assert (engines / "mine").exists()


def test_the_page_names_commands_and_options_that_there_are() -> None:
    page = (Path(__file__).parents[2] / "docs" / "housekeeping.md").read_text()
    shown = [line.split() for line in re.findall(r"reviewmill ((?:prune|forget|vacuum)[^\n`&]*)", page)]
    named: dict[str, set[str]] = {}
    for name, *words in shown:
        named.setdefault(name, set()).update(word for word in words if word.startswith("--"))
    for name, options in named.items():
        parameters = import_module(COMMANDS[name][0]).command.params
        known = {option for parameter in parameters for option in parameter.opts} - {"external_id"}
        assert options <= known
        assert known - options <= {"--json"}, name


def test_help_names_the_three() -> None:
    listed = CliRunner().invoke(reviewmill, ["--help"]).output
    assert all(re.search(rf"^  {name} ", listed, re.MULTILINE) for name in ("prune", "forget", "vacuum"))
