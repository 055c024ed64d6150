"""An object store, through s3fs and the protocol that it speaks."""

import gzip
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import pyarrow
import pyarrow.parquet as parquet
import pytest
from fsspec.core import url_to_fs

from producer.errors import SourceError
from producer.sources import Record, open_source

CSV = b"id,text\n1,good\n2,bad\n"
RECORDS = [Record(2, {"id": "1", "text": "good"}), Record(3, {"id": "2", "text": "bad"})]
PARQUET = pyarrow.BufferOutputStream()
parquet.write_table(pyarrow.table({"n": range(9)}), PARQUET)
OBJECTS = {
    "in/a.csv.gz": gzip.compress(CSV),
    "in/b.csv": CSV,
    "in/_SUCCESS": b"",
    "big.csv": b"text\n" + b"quite good\n" * 100_000,
    "n.parquet": PARQUET.getvalue().to_pybytes(),
}


class Store(BaseHTTPRequestHandler):
    """As much of S3 as is read from: a bucket `shop` that is listed, and objects and parts of them that are fetched."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        bucket, _, key = unquote(url.path).strip("/").partition("/")
        if bucket != "shop" or (key and key not in OBJECTS):
            self._answer(404, b"<Error><Code>NoSuchKey</Code><Message>none</Message></Error>")
        elif not key:
            self._answer(200, _listing(parse_qs(url.query)))
        elif part := re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", "")):
            content = OBJECTS[key][int(part[1]) : int(part[2]) + 1]
            self._answer(206, content, {"Content-Range": f"bytes {part[1]}-{part[2]}/{len(OBJECTS[key])}"})
        else:
            self._answer(200, OBJECTS[key])

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, status: int, content: bytes, more: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), "ETag": '"1"', **(more or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)


def _listing(asked: dict[str, list[str]]) -> bytes:
    prefix, delimiter = asked.get("prefix", [""])[0], asked.get("delimiter", [""])[0]
    keys, folders = [], set()
    for key in OBJECTS:
        rest = key.removeprefix(prefix)
        if key.startswith(prefix) and delimiter and delimiter in rest:
            folders.add(prefix + rest.partition(delimiter)[0] + delimiter)
        elif key.startswith(prefix):
            keys.append(key)
    when = "<LastModified>2026-11-24T00:00:00Z</LastModified>"
    told = "<Contents><Key>{}</Key><Size>{}</Size><ETag>1</ETag>" + when + "</Contents>"
    objects = "".join(told.format(key, len(OBJECTS[key])) for key in keys)
    prefixes = "".join(f"<CommonPrefixes><Prefix>{folder}</Prefix></CommonPrefixes>" for folder in sorted(folders))
    return f"<ListBucketResult>{objects}{prefixes}</ListBucketResult>".encode()


@pytest.fixture(autouse=True)
def _store(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Store) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "me")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        type(url_to_fs("s3://shop/b.csv")[0]).clear_instance_cache()
        yield
        server.shutdown()


def test_an_object_is_read() -> None:
    source = open_source("s3://shop/in/b.csv")
    assert source.name == "s3://shop/in/b.csv"
    assert list(source.records()) == list(source.records()) == RECORDS


@pytest.mark.parametrize("spec", ["s3://shop/in", "s3://shop/in/", "s3://shop/in/*.csv*"])
def test_a_directory_and_a_glob_are_read(spec: str) -> None:
    assert [(record.row, record.part) for record in open_source(spec).records()] == [
        (2, "s3://shop/in/a.csv.gz"),
        (3, "s3://shop/in/a.csv.gz"),
        (2, "s3://shop/in/b.csv"),
        (3, "s3://shop/in/b.csv"),
    ]


def test_a_large_object_is_read_in_pieces() -> None:
    source = open_source("s3://shop/big.csv")
    records = source.records()
    next(records)
    assert source.share_read() < 0.1
    assert 1 + sum(1 for _ in records) == 100_000
    assert source.share_read() == 1.0


def test_a_parquet_file_is_read_where_it_lies() -> None:
    source = open_source("s3://shop/n.parquet")
    assert source.rows() == 9
    assert [record.values["n"] for record in source.records()] == list(range(9))


def test_what_is_not_there_is_told() -> None:
    with pytest.raises(SourceError, match=r"no such file: 's3://shop/no\.csv'"):
        open_source("s3://shop/no.csv")
