"""Planted data: scripts of data sets, and pickles where parquet files keep types and metadata, are let lie."""

import json
import pickle
from contextlib import suppress
from pathlib import Path

import pyarrow
import pyarrow.parquet as parquet
import pytest

from producer.errors import SourceError
from producer.sources import open_source


class Planted:
    """Unpickled, it writes the canary."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple:
        return exec, (f"open({str(self.canary)!r}, 'w').close()",)


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "canary"


def test_a_data_set_with_a_loading_script_is_refused(tmp_path: Path, canary: Path) -> None:
    folder = tmp_path / "evil"
    folder.mkdir()
    for script in ("evil.py", "__init__.py"):
        (folder / script).write_text(f"open({str(canary)!r}, 'w').close()\n")
    with pytest.raises(SourceError, match=r"hf:.*evil can not be read: ") as caught:
        open_source(f"hf:{folder}")
    assert "\n" not in str(caught.value)
    (folder / "data.csv").write_text("text\ngood\n")
    with suppress(SourceError):
        list(open_source(f"hf:{folder}").records())
    assert not canary.exists()


@pytest.mark.parametrize("file", ["train.pkl", "train.pickle", "train.pt", "train.npy"])
def test_a_data_set_of_pickles_is_refused(tmp_path: Path, canary: Path, file: str) -> None:
    (tmp_path / "evil").mkdir()
    (tmp_path / "evil" / file).write_bytes(pickle.dumps(Planted(canary)))
    with pytest.raises(SourceError, match="can not be read"):
        list(open_source(f"hf:{tmp_path / 'evil'}").records())
    with pytest.raises(SourceError, match="names no known format"):
        open_source(str(tmp_path / "evil" / file))
    assert not canary.exists()


@pytest.mark.parametrize("name", ["arrow.py_extension_type", "evil.type", "pandas.period"])
def test_types_and_metadata_of_parquet_files_are_not_unpickled(tmp_path: Path, canary: Path, name: str) -> None:
    bomb = pickle.dumps(Planted(canary))
    extension = {"ARROW:extension:name": name, "ARROW:extension:metadata": bomb}
    field = pyarrow.field("text", pyarrow.string(), metadata=extension)
    about = {"pandas": json.dumps({"index_columns": [], "columns": [], "attributes": {"x": bomb.hex()}}), "x": bomb}
    table = pyarrow.table([["good", "bad"]], schema=pyarrow.schema([field], metadata=about))
    parquet.write_table(table, tmp_path / "evil.parquet")
    records = list(open_source(str(tmp_path / "evil.parquet")).records())
    assert [record.values for record in records] == [{"text": "good"}, {"text": "bad"}]
    assert not canary.exists()
    pickle.loads(bomb)
    assert canary.exists()
