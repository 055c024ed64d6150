import gzip
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pyarrow
import pyarrow.parquet as parquet
import pytest

from producer.errors import SourceError
from producer.sources import Record, open_source

CSV = b"id,text\n1,good\n2,bad\n"
RECORDS = [Record(2, {"id": "1", "text": "good"}), Record(3, {"id": "2", "text": "bad"})]


class Handler(SimpleHTTPRequestHandler):
    """A web server that sends no parts, as the standard library has it, and goes wrong on request."""

    #: A short file breaks off when it is set. Before that, what looks at its beginning finds it whole.
    may_break = threading.Event()

    def do_GET(self) -> None:
        if self.path.startswith("/secret") and self.headers.get("Authorization") != "Basic bWU6czNjcmV0":
            self.send_error(401)
        elif self.path.startswith("/short"):
            self.send_response(200)
            self.send_header("Content-Length", "20000000")
            self.end_headers()
            self.wfile.write(b"text\n" + b"quite good\n" * 200_000)
            self.may_break.wait(timeout=60)
        else:
            super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """URL of a real web server for the test's folder."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(tmp_path))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        Handler.may_break.set()  # nothing waits any longer
        server.shutdown()


@pytest.fixture
def store() -> Iterator[fsspec.AbstractFileSystem]:
    """fsspec's store in memory, which is addressed as those elsewhere are."""
    filesystem = fsspec.filesystem("memory")
    filesystem.pipe({"/shop/b.csv": CSV, "/shop/a.csv.gz": gzip.compress(CSV)})
    filesystem.pipe({"/shop/_SUCCESS": b"", "/shop/c.txt": b"x"})
    yield filesystem
    filesystem.rm("/shop", recursive=True)


def refused(spec: str) -> str:
    with pytest.raises(SourceError) as caught:
        list(open_source(spec).records())
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_csv_is_read_over_the_web(web: str, tmp_path: Path):
    (tmp_path / "reviews.csv").write_bytes(CSV)
    source = open_source(f"{web}/reviews.csv?signature=s3cret#top")
    assert source.name == f"{web}/reviews.csv"
    assert source.columns() == ["id", "text"]
    assert list(source.records()) == list(source.records()) == RECORDS
    assert source.share_read() == 1.0


@pytest.mark.parametrize("name", ["reviews.csv.gz", "download"])
def test_what_is_there_is_told_from_its_beginning(web: str, tmp_path: Path, name: str):
    (tmp_path / name).write_bytes(gzip.compress(CSV))
    assert list(open_source(f"{web}/{name}").records()) == RECORDS


def test_a_parquet_file_needs_no_server_that_sends_parts(web: str, tmp_path: Path):
    parquet.write_table(pyarrow.table({"n": range(5_000)}), tmp_path / "a.parquet")
    source = open_source(f"{web}/a.parquet")
    assert source.rows() == 5_000
    assert [record.values["n"] for record in source.records()] == list(range(5_000))


def test_a_password_is_used_and_not_told(web: str, tmp_path: Path):
    (tmp_path / "secret.csv").write_bytes(CSV)
    secret = web.replace("//", "//me:s3cret@")
    source = open_source(f"{secret}/secret.csv")
    assert source.name == f"{web}/secret.csv"
    assert list(source.records()) == RECORDS
    assert "s3cret" not in refused(f"{secret}/no.csv")
    wrong = refused(f"{web.replace('//', '//me:wr0ng@')}/secret.csv")
    assert "401" in wrong
    assert "wr0ng" not in wrong


def test_what_is_not_there_is_told(web: str):
    assert refused(f"{web}/no.csv") == f"no such file: '{web}/no.csv'"
    assert "Cannot connect" in refused("http://127.0.0.1:9/a.csv")
    assert "names no known format" in refused(f"{web}/a.xlsx")


def test_a_connection_that_breaks_off_tells_after_how_many_rows(web: str):
    Handler.may_break.clear()
    records = open_source(f"{web}/short.csv").records()
    taken = [next(records)]
    Handler.may_break.set()
    with pytest.raises(SourceError) as caught:
        taken.extend(records)
    assert str(caught.value).endswith(f", after {len(taken):,} rows")
    assert "\n" not in str(caught.value)


def test_the_share_of_what_the_server_announces_is_told(web: str, tmp_path: Path):
    (tmp_path / "big.csv").write_bytes(b"text\n" + b"quite good\n" * 100_000)
    source = open_source(f"{web}/big.csv")
    shares = [source.share_read() for _ in source.records()]
    assert shares == sorted(shares)
    assert 0.3 < shares[50_000] < 0.7
    assert shares[-1] == 1.0


def test_a_store_is_read_by_name_glob_and_directory(store: fsspec.AbstractFileSystem):
    assert list(open_source("memory://shop/b.csv").records()) == RECORDS
    for spec in ("memory://shop/*.csv*", "memory://shop", "memory://shop/"):
        source = open_source(spec)
        assert source.name == spec
        assert [(record.row, record.part) for record in source.records()] == [
            (2, "memory:///shop/a.csv.gz"),
            (3, "memory:///shop/a.csv.gz"),
            (2, "memory:///shop/b.csv"),
            (3, "memory:///shop/b.csv"),
        ]


def test_a_parquet_file_of_a_store_is_read_where_it_lies(store: fsspec.AbstractFileSystem):
    with store.open("/shop/a.parquet", "wb") as file:
        parquet.write_table(pyarrow.table({"n": range(9)}), file)
    source = open_source("memory://shop/a.parquet")
    assert source.rows() == 9
    assert len(list(source.records())) == 9


def test_nothing_there_is_told(store: fsspec.AbstractFileSystem):
    assert refused("memory://shop/*.tsv") == "no file matches 'memory://shop/*.tsv'"
    assert refused("memory://shop/no.csv") == "no such file: 'memory://shop/no.csv'"
    store.pipe("/shop/empty/c.txt", b"x")
    assert "the directory 'memory://shop/empty' has no .csv" in refused("memory://shop/empty")


@pytest.mark.parametrize(
    ("url", "module", "extra"),
    [("gs://b/a.csv", "gcsfs", "gcs"), ("s3://b/a.csv", "s3fs", "s3"), ("https://b/a.csv", "aiohttp", "http")],
)
def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, url: str, module: str, extra: str):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(sys.modules["fsspec.registry"], "_registry", {})
    assert refused(url).endswith(f"packages that are not installed; pip install 'reviewmill[{extra}]'")


def test_an_unknown_scheme_is_told():
    assert "Protocol not known: gopher" in refused("gopher://b/a.csv")
