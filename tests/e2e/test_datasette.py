"""Datasette opens the SQLite file and its views usefully, also while the stack writes to it."""

import html
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
import yaml
from sqlalchemy import inspect, text

from db.database import Database
from db.schema import upgrade
from db.tables import Base
from tests.db.planted import plant
from tests.samples import CHECKPOINTS
from tests.system import Start, wait_until

PAGE = (Path(__file__).parents[2] / "docs" / "results.md").read_text()
#: What the page says to start it with, after the file; then more time, which it needs on a busy machine.
((_SAID, _SETTINGS),) = re.findall(r"^    datasette \S+ --metadata (\S+) (.+)$", PAGE, re.MULTILINE)
(_PATIENCE,) = re.findall(r"`((?:--setting \w+_time_limit_ms \d+ ?)+)`", PAGE)
OPTIONS = f"{_SETTINGS} {_PATIENCE}".split()
METADATA = Path(str(files("db") / "datasette" / "metadata.yml"))
Read = Callable[..., str]
Serve = Callable[[Path], Read]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start Datasette on a file as docs/results.md says; gives a function that reads its pages."""
    started: list[subprocess.Popen[bytes]] = []

    def launch(database: Path) -> Read:
        log = tmp_path / "datasette.log"
        command = [sys.executable, "-m", "datasette", database, "--metadata", METADATA, "--port", "0", *OPTIONS]
        with log.open("w") as output:
            started.append(subprocess.Popen([*map(str, command)], stdout=output, stderr=output))
        wait_until(lambda: "Uvicorn running on" in log.read_text() or started[-1].poll() is not None)
        (address,) = re.findall(r"running on (http://127\.0\.0\.1:\d+)", log.read_text())
        return lambda page, **asked: _read(f"{address}/reviewmill/{page}?{urlencode(asked)}")

    yield launch
    for process in started:
        process.terminate()
        process.wait(20)


def _read(address: str) -> str:
    try:
        with urlopen(address, timeout=60) as answer:
            return answer.read().decode()
    except HTTPError as error:
        raise AssertionError(f"{address} answers {error.code}: {error.read().decode()}") from error


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    path = tmp_path / "planted" / "reviewmill.db"
    database = Database(f"sqlite:///{path}")
    upgrade(database)
    plant(database)
    database.close()
    return path


def facets(page: str) -> dict[str, dict[str, int]]:
    """How many rows have each value, by the column, as a page shows them."""
    found = {}
    for column, section in re.findall(r'<div class="facet-info[^"]*" id="facet-(\w+)"(.*?)</div>', page, re.DOTALL):
        values = re.findall(r"<li><a [^>]*>(.*?)</a>\s*([\d,]+)", section, re.DOTALL)
        found[column] = {html.unescape(value): int(count.replace(",", "")) for value, count in values}
    return found


def test_pages_of_views_have_facets_and_say_what_columns_mean(serve: Serve, planted: Path) -> None:
    assert METADATA.samefile(Path(__file__).parents[2] / _SAID)
    page = (read := serve(planted))("latest_predictions")
    assert facets(page) == {
        "label": {"negative": 4, "positive": 3, "neutral": 1},
        "model": {"sentiment@1": 7, "sentiment@2": 1},
    }
    assert "What is thought of each review now" in page
    assert "<dt>margin</dt><dd>How far the answer is from tipping over" in page
    assert "Broke after a week. Avoid." in page
    assert facets(read("model_disagreements"))["label_b"] == {"negative": 1, "positive": 1}


def test_a_facet_narrows_and_columns_sort(serve: Serve, planted: Path) -> None:
    read = serve(planted)
    narrowed = _rows(read("latest_predictions.json", label="negative", _sort_desc="score", _shape="objects"))
    assert [row["external_id"] for row in narrowed] == ["1002", "1005", "1006", "1003"]
    assert [row["job_id"] for row in _rows(read("job_summary.json", _shape="objects"))] == [4, 3, 2, 1]
    assert _rows(read("label_by_day.json", _shape="objects"))[0]["day"] == "2026-11-04"


def test_every_table_and_view_has_its_page_and_is_described(serve: Serve, planted: Path) -> None:
    read = serve(planted)
    described = yaml.safe_load(METADATA.read_text())["databases"]["reviewmill"]["tables"]
    database = Database(f"sqlite:///{planted}")
    with database.read() as connection:
        views = set(inspect(connection).get_view_names())
        assert set(described) == {*Base.metadata.tables, *views, "alembic_version"}
        for name, about in described.items():
            columns = set(connection.execute(text(f"SELECT * FROM {name} WHERE 1 = 0")).keys())
            named = [*about.get("columns", ()), *about.get("facets", ()), *about.get("sortable_columns", ())]
            named += [about[key] for key in ("sort_desc", "label_column") if key in about]
            assert set(named) <= columns, name
            page = html.unescape(read(name))
            assert about.get("description", "") in page
            assert set(facets(page)) == set(about.get("facets", ())), name
    database.close()


def _rows(document: str) -> list[dict[str, Any]]:
    return json.loads(document)["rows"]


def test_it_reads_while_the_stack_writes(start: Start, serve: Serve, home: Path, tmp_path: Path) -> None:
    reviews = tmp_path / "many.csv"
    reviews.write_text("body\n" + "".join(f"{number} arrived in time and works\n" for number in range(20_000)))
    scoring = start("score", reviews, "--text", "body", "--model", CHECKPOINTS / "bert", REVIEWMILL_CHUNK_SIZE="200")
    database = home / "reviewmill.db"
    wait_until(lambda: database.exists() and _jobs(database))
    read = serve(database)
    seen = []
    while not seen or seen[-1]["state"] not in ("done", "failed", "cancelled"):
        seen += _rows(read("job_summary.json", _shape="objects"))
        read("latest_predictions")
    assert scoring.wait(60) == 0
    assert (seen[-1]["state"], seen[-1]["scored"]) == ("done", 20_000)
    done = [row["scored"] for row in seen]
    assert done == sorted(done)
    assert len({*done} - {0, 20_000}) > 2, "it did not see the job go on"


def _jobs(path: Path) -> bool:
    database = Database(f"sqlite:///{path}")
    try:
        with database.read() as connection:
            return inspect(connection).has_table("jobs") and bool(connection.scalar(text("SELECT count(*) FROM jobs")))
    finally:
        database.close()
