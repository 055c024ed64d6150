"""Migrations: complete, by themselves on SQLite, on demand elsewhere."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, func, inspect, select, text

import db.migrations
from db.claims import claim_chunk
from db.database import Database
from db.errors import DatabaseError, DatabaseUnreachable, SchemaMismatch
from db.results import label_counts, reading_counts
from db.rings import unrung_chunks
from db.schema import HEAD_REVISION, current_revision, open_database, upgrade
from db.settings import DatabaseSettings
from db.tables import Base, Example, Prediction
from tests.db.planted import plant


def test_migrations_make_exactly_the_tables_of_the_code(database: Database) -> None:
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"target_metadata": Base.metadata})
        assert compare_metadata(context, Base.metadata) == []
        assert set(inspect(connection).get_table_names()) == {*Base.metadata.tables, "alembic_version"}


def test_head_revision_is_the_newest_script() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(db.migrations.__path__[0])))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD_REVISION


def test_sqlite_is_migrated_on_first_use(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'deep' / 'new.db'}"
    assert current_revision(open_database(DatabaseSettings(database_url=url))) == HEAD_REVISION


def test_a_server_is_never_migrated_unasked(empty_postgresql_url: str) -> None:
    settings = DatabaseSettings(database_url=empty_postgresql_url)
    with pytest.raises(SchemaMismatch, match="run: reviewmill db upgrade"):
        open_database(settings)
    upgrade(Database(empty_postgresql_url))
    assert current_revision(open_database(settings)) == HEAD_REVISION


def test_many_may_upgrade_at_once(tmp_path: Path, empty_postgresql_url: str) -> None:
    for url in (f"sqlite:///{tmp_path / 'shared.db'}", empty_postgresql_url):
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: upgrade(Database(url)), range(4)))  # noqa: B023
        assert current_revision(Database(url)) == HEAD_REVISION


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_job_of_the_first_version_goes_on_after_the_upgrade(
    kind: str, sqlite_url: str, empty_postgresql_url: str
) -> None:
    database = Database(sqlite_url if kind == "sqlite" else empty_postgresql_url)
    _migrate(database, "0001")
    with database.write() as connection:
        job = "INSERT INTO jobs (id, kind, state, params, priority, total, rejected, created_at) VALUES "
        connection.execute(text(f"{job} (1, 'score', 'running', '{{}}', 'normal', 2, 0, '2026-11-01 10:00:00')"))
        chunk = "INSERT INTO chunks (id, job_id, position, state, attempt, size, scored, reused, failed, review_ids)"
        connection.execute(text(f"{chunk} VALUES (1, 1, 0, 'pending', 3, 2, 0, 0, 0, '[7, 8]')"))
    upgrade(database)
    with database.write() as connection:
        (lost,) = unrung_chunks(connection, "score", limit=10)
        claim = claim_chunk(connection, lost.chunk_id, "me", 60)
    assert claim is not None
    assert (claim.attempt, claim.errors, claim.deaths, claim.review_ids) == (4, 0, 0, [7, 8])


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_labels_of_before_are_kept_and_those_without_one_go_on_the_way_back(
    kind: str, sqlite_url: str, empty_postgresql_url: str
) -> None:
    database = Database(sqlite_url if kind == "sqlite" else empty_postgresql_url)
    _migrate(database, "0006")
    with database.write() as connection:
        job = "INSERT INTO jobs (id, kind, state, params, priority, total, rejected, created_at) VALUES "
        connection.execute(text(f"{job} (1, 'finetune', 'done', '{{}}', 'normal', 2, 0, '2026-11-01 10:00:00')"))
        review = "INSERT INTO reviews (id, source, external_id, text, text_hash, created_at) VALUES "
        for id_ in (7, 8):
            connection.execute(text(f"{review} ({id_}, 's', '{id_}', 't', 'h{id_}', '2026-11-01 10:00:00')"))
        connection.execute(text("INSERT INTO examples (job_id, review_id, label, split) VALUES (1, 7, 'x', 'train')"))
    upgrade(database)
    with database.write() as connection:
        connection.execute(text("INSERT INTO examples (job_id, review_id, label, split) VALUES (1, 8, NULL, 'train')"))
        labels = select(Example.label).order_by(Example.review_id)
        assert list(connection.scalars(labels)) == ["x", None]
    _migrate(database, "0006", down=True)
    with database.write() as connection:
        assert list(connection.scalars(labels)) == ["x"]
        # What else the table is made of is still there.
        assert [one["column_names"] for one in inspect(connection).get_indexes("examples")] == [["review_id"]]
        assert {one["referred_table"] for one in inspect(connection).get_foreign_keys("examples")} == {
            "jobs",
            "reviews",
        }
        connection.execute(text("DELETE FROM jobs"))
        assert list(connection.scalars(labels)) == []


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_what_was_cut_before_is_told_from_what_was_whole(kind: str, sqlite_url: str, empty_postgresql_url: str) -> None:
    database = Database(sqlite_url if kind == "sqlite" else empty_postgresql_url)
    _migrate(database, "0007")
    at = "2026-11-01 10:00:00"
    model = {"id": 1, "name": "m", "version": 1, "kind": "hub", "family": "bert", "labels": "[]", "problem_type": "s"}
    model |= {"max_tokens": 9, "digest": "d", "path": "/m", "metrics": "{}", "aliases": "[]", "created_at": at}
    job = {"id": 1, "kind": "score", "state": "done", "params": "{}", "priority": "normal", "created_at": at}
    said = {"model_id": 1, "job_id": 1, "label": "x", "score": 1, "probabilities": "{}", "tokens": 9, "scored_at": at}
    with database.write() as connection:
        _insert(connection, "models", model)
        _insert(connection, "jobs", job | {"total": 3, "rejected": 0})
        for id_, is_cut in ((7, True), (8, False), (9, True)):
            review = {"id": id_, "source": "s", "external_id": str(id_), "text": "t", "text_hash": f"h{id_}"}
            _insert(connection, "reviews", review | {"created_at": at})
            _insert(connection, "predictions", said | {"review_id": id_, "truncated": is_cut})
    upgrade(database)
    with database.write() as connection:
        found = connection.execute(select(Prediction.reading, Prediction.windows).order_by(Prediction.review_id))
        assert [tuple(row) for row in found] == [("truncate", 1), ("whole", 1), ("truncate", 1)]
        connection.execute(text("UPDATE predictions SET reading = 'window', windows = 3 WHERE review_id = 9"))
    # A version that knows no windows would take them for what it reads itself.
    _migrate(database, "0007", down=True)
    with database.read() as connection:
        assert list(connection.scalars(select(Prediction.review_id).order_by(Prediction.review_id))) == [7, 8]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_what_jobs_of_before_came_to_is_counted(kind: str, sqlite_url: str, empty_postgresql_url: str) -> None:
    database = Database(sqlite_url if kind == "sqlite" else empty_postgresql_url)
    _migrate(database, "0011")
    at = "2026-11-01 10:00:00"
    model = {"version": 1, "kind": "hub", "family": "bert", "labels": "[]", "problem_type": "s", "max_tokens": 9}
    model |= {"digest": "d", "path": "/m", "metrics": "{}", "aliases": "[]", "created_at": at}
    job = {"kind": "score", "state": "done", "params": "{}", "priority": "normal", "total": 9, "created_at": at}
    chunk = {"attempt": 1, "size": 2, "scored": 2, "reused": 0, "failed": 0, "errors": 0, "deaths": 0, "alone": False}
    chunk |= {"device_s": 0, "tokens": 0, "batch_tokens": 0, "rung_at": at}
    said = {"job_id": 1, "score": 1, "probabilities": "{}", "tokens": 9, "truncated": False, "scored_at": at}
    with database.write() as connection:
        for id_ in (1, 2):
            _insert(connection, "models", model | {"id": id_, "name": f"m{id_}"})
            _insert(connection, "jobs", job | {"id": id_, "model_id": 1, "rejected": 0})
        for id_, label in ((7, "x"), (8, "y"), (9, "x")):
            review = {"id": id_, "source": "s", "external_id": str(id_), "text": "t", "text_hash": f"h{id_}"}
            _insert(connection, "reviews", review | {"created_at": at})
            _insert(connection, "predictions", said | {"review_id": id_, "model_id": 1, "label": label})
            _insert(connection, "predictions", said | {"review_id": id_, "model_id": 2, "label": "of another"})
        # A row that is repeated, one that failed in job 2 though job 1 had scored it, and chunks that are not done.
        parts = [(1, "done", "[7, 8, 7]"), (1, "done", "[9]"), (1, "pending", "[9]"), (2, "done", "[7, 8, 9]")]
        for position, (job_id, state, ids) in enumerate(parts):
            values = chunk | {"job_id": job_id, "position": position, "state": state, "review_ids": ids}
            _insert(connection, "chunks", values)
        _insert(
            connection, "failures", {"job_id": 2, "review_id": 8, "stage": "score", "reason": "r", "created_at": at}
        )
    upgrade(database)
    with database.read() as connection:
        assert label_counts(connection, 1) == {"x": 3, "y": 1}
        assert label_counts(connection, 2) == {"x": 2}
        assert reading_counts(connection, 1) == {"whole": 4}
    _migrate(database, "0011", down=True)
    with database.read() as connection:
        assert not inspect(connection).has_table("job_counts")
        names = {one["name"] for one in inspect(connection).get_indexes("chunks")}
        assert "ix_chunks_job_id_state_position" in names


def test_what_was_found_out_on_a_device_is_kept_under_its_new_name(database: Database) -> None:
    _migrate(database, "0014", down=True)
    at = "2026-11-01 10:00:00"
    model = {"id": 1, "name": "m", "version": 1, "kind": "hub", "family": "bert", "labels": "[]", "problem_type": "s"}
    model |= {"max_tokens": 9, "digest": "d", "path": "/m", "metrics": "{}", "aliases": "[]", "created_at": at}
    job = {"id": 1, "kind": "score", "state": "done", "params": "{}", "priority": "normal", "total": 2, "rejected": 0}
    chunk = {"job_id": 1, "state": "done", "attempt": 1, "rung_at": at, "errors": 0, "deaths": 0, "alone": False}
    chunk |= {"tokens": 0, "device_s": 0, "batch_tokens": 0, "size": 0, "scored": 0, "reused": 0, "failed": 0}
    budget = {"model_id": 1, "configured": 0, "tokens": 64, "updated_at": at}
    precision = {"model_id": 1, "source": "s", "asked": "auto", "build": "b", "chosen": "int8", "rungs": "[]"}
    with database.write() as connection:
        _insert(connection, "models", model)
        _insert(connection, "jobs", job | {"created_at": at})
        for position, device in enumerate(("a-1.example/cpu", "b/gpu10", None)):
            _insert(connection, "chunks", chunk | {"position": position, "device": device, "review_ids": "[]"})
        for device in ("a-1.example/cpu", "b/gpu10"):
            _insert(connection, "token_budgets", budget | {"device": device})
            _insert(connection, "precisions", precision | {"device": device, "chosen_at": at})

    def named(table: str) -> list[str | None]:
        with database.read() as connection:
            return list(connection.scalars(text(f"SELECT device FROM {table} ORDER BY device")))

    upgrade(database)
    for table in ("chunks", "token_budgets", "precisions"):
        assert [name for name in named(table) if name] == ["cpu@a-1.example", "gpu10@b"]
    _migrate(database, "0014", down=True)
    for table in ("chunks", "token_budgets", "precisions"):
        assert [name for name in named(table) if name] == ["a-1.example/cpu", "b/gpu10"]
    assert len(named("chunks")) == 3


def test_views_come_to_what_is_there_and_leave_it_when_they_go(database: Database) -> None:
    def seen() -> list[object]:
        with database.read() as connection:
            return list(connection.execute(text("SELECT * FROM latest_predictions ORDER BY external_id")))

    plant(database)
    before = seen()
    assert len(before) == 8
    _migrate(database, "0013", down=True)
    with database.read() as connection:
        assert inspect(connection).get_view_names() == []
        assert connection.scalar(select(func.count()).select_from(Prediction)) == 15
    upgrade(database)
    assert seen() == before


def _insert(connection: Connection, table: str, values: dict[str, object]) -> None:
    places = ", ".join(f":{name}" for name in values)
    connection.execute(text(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({places})"), values)


def _migrate(database: Database, revision: str, *, down: bool = False) -> None:
    from alembic import command

    config = Config()
    config.set_main_option("script_location", str(Path(db.migrations.__path__[0])))
    with database.write() as connection:
        config.attributes["connection"] = connection
        (command.downgrade if down else command.upgrade)(config, revision)


def test_downgrade_leaves_nothing(database: Database) -> None:
    from alembic import command

    config = Config()
    config.set_main_option("script_location", str(Path(db.migrations.__path__[0])))
    with database.write() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        assert inspect(connection).get_table_names() == ["alembic_version"]
        assert inspect(connection).get_view_names() == []


def test_tables_from_the_future_are_refused_in_one_line(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    upgrade(database)
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaMismatch, match="newer version of Reviewmill") as raised:
        open_database(DatabaseSettings(database_url=sqlite_url))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense", "is not a database URL"),
        ("mysql://localhost/reviews", "mysql databases are not supported"),
        ("sqlite://", "must be a file"),
        ("sqlite:////proc/nowhere/reviewmill.db", "cannot be made"),
    ],
)
def test_urls_that_cannot_work(url: str, said: str) -> None:
    with pytest.raises(DatabaseError, match=said) as raised:
        open_database(DatabaseSettings(database_url=url))
    assert "\n" not in str(raised.value)


def test_an_unreachable_server_is_named_without_its_password() -> None:
    url = "postgresql://somebody:secret@127.0.0.1:9/reviews"
    with pytest.raises(DatabaseUnreachable, match="cannot be used") as raised:
        open_database(DatabaseSettings(database_url=url))
    assert "secret" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "reviews.db"
    path.write_text("not a database " * 100)
    with pytest.raises(DatabaseUnreachable, match="not a database"):
        open_database(DatabaseSettings(database_url=f"sqlite:///{path}"))
