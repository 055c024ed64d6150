"""Places for a model store: a directory, fsspec's memory, and buckets of an S3 server of the tests' own.

Fixtures here are taken in by the conftest of each folder that needs them.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from moto.server import ThreadedMotoServer

_numbers = itertools.count()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of a running S3 server without a bucket."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_url(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A place in a new bucket of that server, which this process and its children are told to use."""
    settings = {
        "AWS_ENDPOINT_URL": s3_server,
        "AWS_ACCESS_KEY_ID": "me",
        "AWS_SECRET_ACCESS_KEY": "s3cret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    bucket = f"shop-{next(_numbers)}"
    type(fsspec.filesystem("s3")).clear_instance_cache()
    fsspec.filesystem("s3").mkdir(bucket)
    yield f"s3://{bucket}/models"
    type(fsspec.filesystem("s3")).clear_instance_cache()


@pytest.fixture
def memory_url() -> str:
    """A place in this process's memory."""
    return f"memory://store-{next(_numbers)}"


@pytest.fixture
def directory_url(tmp_path: Path) -> str:
    """A directory, which is not there yet."""
    return str(tmp_path / "share" / "models")


@pytest.fixture(params=["directory", "memory", "s3"])
def store_url(request: pytest.FixtureRequest) -> str:
    """A place of each kind, in turn."""
    return request.getfixturevalue(f"{request.param}_url")
