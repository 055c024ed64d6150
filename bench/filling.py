"""A database as full as a team's after years: put there by SQL itself, some hundred thousand predictions a second."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select, text, update

from db.checkpoint import CheckpointFacts
from db.database import Database
from db.job_counts import Told, add_counts
from db.jobs import NewJob, create_job, settle_job
from db.registry import register_model
from db.tables import Base, Chunk, Job, Prediction, Review

Say = Callable[[str], None]

LABELS = ("negative", "neutral", "positive")
CHUNK = 1_000
#: The fewest reviews that can be filled in, and what their number is a multiple of.
STEP = 50 * CHUNK
#: Rows of one INSERT.
_SLICE = 500_000
#: What a number is multiplied by to get another that looks drawn by lot, the same on both databases.
_LOTS = {"label": 2_654_435_761, "score": 2_246_822_519, "rest": 3_266_489_917, "hash": 668_265_263}

_REVIEWS = """
    INSERT INTO reviews (id, source, external_id, text, text_hash, created_at)
    SELECT id, 'years.csv', {padded_id}, CASE WHEN id % 20 = 0 THEN 'Great!' ELSE
        'Order ' || id || ' came after ' || id % 30 || ' days. The box was dented, what was in it works as told, ' ||
        'and nobody answered the question that I wrote.' END, {hash}, :at
    FROM ({numbers}) AS numbers
"""
_PREDICTIONS = """
    INSERT INTO predictions (review_id, model_id, job_id, label, score, margin, probabilities, tokens, truncated,
        precision, reading, windows, scored_at)
    SELECT id, :model_id, :job_id, label, score, score - second, {probabilities}, 20 + id % 90, {false}, 'int8',
        'whole', 1, :at
    FROM (SELECT id, label, score, (1 - score) * (0.5 + 0.5 * {rest}) AS second
        FROM (SELECT id,
                CASE WHEN id % 20 = 0 THEN 0.9993 ELSE 0.5 + 0.4999 * (1 - (1 - {score}) * (1 - {score})) END AS score,
                CASE WHEN id % 20 = 0 OR {label} < 0.55 THEN 'positive' WHEN {label} < 0.9 THEN 'negative'
                    ELSE 'neutral' END AS label
            FROM ({numbers}) AS numbers) AS scored) AS told
"""
_PROBABILITIES = """'negative', CASE label WHEN 'negative' THEN score ELSE second END,
    'neutral', CASE label WHEN 'neutral' THEN score WHEN 'negative' THEN second ELSE 1 - score - second END,
    'positive', CASE label WHEN 'positive' THEN score ELSE 1 - score - second END"""
_SPELLED = {
    "sqlite": {
        "numbers": "WITH RECURSIVE n(id) AS (SELECT :first UNION ALL SELECT id + 1 FROM n WHERE id < :last) "
        "SELECT id FROM n",
        "padded_id": "printf('%010d', id)",
        "hash": "printf('%064x', {lot})",
        "probabilities": f"json_object({_PROBABILITIES})",
        "false": "0",
    },
    "postgresql": {
        "numbers": "SELECT id FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS id",
        "padded_id": "lpad(CAST(id AS text), 10, '0')",
        "hash": "lpad(to_hex({lot}), 64, '0')",
        "probabilities": f"jsonb_build_object({_PROBABILITIES})",
        "false": "false",
    },
}


def fill(database: Database, reviews: int, say: Say = lambda _: None) -> tuple[int, int]:
    """Put reviews into an empty database, and a prediction for each but those of the chunks that are not done.

    One job of them all goes on, of which one chunk in fifty is still to do; another, of another model, is done with the
    first fiftieth of the reviews. One review in twenty is the same short praise, and gets the same score. Returns the
    ids of the two jobs. `reviews` is a multiple of STEP.
    """
    assert reviews % STEP == 0, f"fill in {STEP:,} at a time"
    part = reviews // 50
    with _without_indexes(database):
        _insert(database, _REVIEWS, reviews, say)
        large = _score(database, "large", reviews, reviews - part, say)
        small = _score(database, "small", part, part, say)
        say("  building the indexes")
    _analyze(database)
    return large, small


def _score(database: Database, name: str, reviews: int, done: int, say: Say) -> int:
    """A job of the first reviews, by a model of its own, with so many of them done; its id."""
    facts = CheckpointFacts("bert", LABELS, "single_label_classification", 512, name)
    chunks = [range(first, first + CHUNK) for first in range(1, reviews + 1, CHUNK)]
    with database.write() as connection:
        model = register_model(connection, name, Path("/models") / name, facts, kind="directory")
        job_id, _ = create_job(connection, NewJob("score", {}, chunks, model_id=model.id))
        connection.execute(update(Job).where(Job.id == job_id).values(state="running"))
    _insert(database, _PREDICTIONS, done, say, model_id=model.id, job_id=job_id)
    ended = update(Chunk).where(Chunk.job_id == job_id, Chunk.position < done // CHUNK)
    with database.write() as connection:
        connection.execute(ended.values(state="done", scored=Chunk.size))
        add_counts(connection, {job_id: _told(connection, job_id)})
        settle_job(connection, job_id)
    return job_id


def _told(connection: Connection, job_id: int) -> Told:
    """Counted by going through the predictions."""
    told = Told()
    found = select(Prediction.label, Prediction.reading, func.count()).where(Prediction.job_id == job_id)
    for label, reading, count in connection.execute(found.group_by(Prediction.label, Prediction.reading)):
        told.labels[label] += count
        told.readings[reading] += count
    return told


def _insert(database: Database, statement: str, rows: int, say: Say, **values: Any) -> None:
    spelled = text(_spell(statement, "sqlite" if database.is_sqlite else "postgresql"))
    for first in range(1, rows + 1, _SLICE):
        last = min(first + _SLICE - 1, rows)
        with database.write() as connection:
            if not database.is_sqlite:
                # Every row has what it refers to, which the server would look up for each.
                connection.execute(text("SET LOCAL session_replication_role = replica"))
            connection.execute(spelled, {"first": first, "last": last, "at": "2026-11-01 10:00:00.000000", **values})
        say(f"  {last:,} {statement.split()[2]}")


def _spell(statement: str, dialect: str) -> str:
    lots = {name: f"((id * {factor}) % 4294967296)" for name, factor in _LOTS.items()}
    shares = {name: f"CAST({lot} / 4294967296.0 AS double precision)" for name, lot in lots.items() if name != "hash"}
    return statement.format(**shares, **{name: one.format(lot=lots["hash"]) for name, one in _SPELLED[dialect].items()})


@contextmanager
def _without_indexes(database: Database) -> Iterator[None]:
    """They are built faster at the end of the block."""
    indexes = [one for table in (Review, Prediction) for one in Base.metadata.tables[table.__tablename__].indexes]
    with database.write() as connection:
        for index in indexes:
            index.drop(connection)
    yield
    for index in indexes:
        with database.write() as connection:
            if not database.is_sqlite:
                connection.execute(text("SET LOCAL maintenance_work_mem = '1GB'"))
            index.create(connection)


def _analyze(database: Database) -> None:
    """What the server's autovacuum does by itself within minutes. SQLite files of ours have no statistics."""
    if not database.is_sqlite:
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))
    else:
        with database.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
