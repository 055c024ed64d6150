import os
import subprocess
import sys
from pathlib import Path

import datasets
import pytest

from producer.errors import SourceError
from producer.rows import Columns, Row, read_rows
from producer.sources import Record, open_source

FEATURES = datasets.Features(
    {
        "text": datasets.Value("string"),
        "label": datasets.ClassLabel(names=["negative", "positive"]),
        "topics": datasets.List(datasets.ClassLabel(names=["price", "service"])),
    }
)
REVIEWS = {"text": ["good", "bad", "so so"], "label": [1, 0, -1], "topics": [[0, 1], [], None]}
DESCRIPTION = """---
dataset_info:
  splits:
  - name: train
    num_examples: 3
  - name: test
    num_examples: 1
---
"""


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A dataset as the hub lays it out, with two splits."""
    whole = datasets.Dataset.from_dict(REVIEWS, features=FEATURES)
    (tmp_path / "data").mkdir()
    whole.to_parquet(tmp_path / "data" / "train-00000-of-00001.parquet")
    whole.select([0]).to_parquet(tmp_path / "data" / "test-00000-of-00001.parquet")
    return tmp_path


def test_a_split_is_read_with_the_names_of_its_labels(dataset: Path):
    source = open_source(f"hf:{dataset}:train")
    assert source.name == f"hf:{dataset}:train"
    assert source.columns() == ["text", "label", "topics"]
    assert list(source.records()) == [
        Record(1, {"text": "good", "label": "positive", "topics": ["price", "service"]}),
        Record(2, {"text": "bad", "label": "negative", "topics": []}),
        Record(3, {"text": "so so", "label": None, "topics": None}),
    ]
    assert len(list(open_source(f"hf:{dataset}:test").records())) == 1


def test_only_the_columns_that_are_asked_for_are_read(dataset: Path):
    assert next(open_source(f"hf:{dataset}:train").records(["label"])) == Record(1, {"label": "positive"})


def test_its_rows_are_checked_as_those_of_any_source(dataset: Path):
    source = open_source(f"hf:{dataset}:train")
    good, bad, unlabelled = read_rows(source, Columns("text", label="label"), max_chars=100)
    assert isinstance(good, Row)
    assert (good.label, bad.label) == ("positive", "negative")
    assert unlabelled.reason == "no label"


def test_a_folder_of_files_is_one_split(tmp_path: Path):
    (tmp_path / "reviews.csv").write_text("id,text\n1,good\n2,bad\n")
    source = open_source(f"hf:{tmp_path}")
    assert source.columns() == ["id", "text"]
    assert list(source.records()) == [Record(1, {"id": 1, "text": "good"}), Record(2, {"id": 2, "text": "bad"})]
    assert (source.rows(), source.share_read()) == (None, None)


def test_rows_are_known_where_the_dataset_tells_them(dataset: Path):
    (dataset / "README.md").write_text(DESCRIPTION)
    source = open_source(f"hf:{dataset}:train")
    assert source.rows() == 3
    assert [source.share_read() for _ in source.records()] == [pytest.approx(n / 3) for n in (1, 2, 3)]


def test_of_several_splits_one_is_to_be_named(dataset: Path):
    with pytest.raises(SourceError, match=f"has several splits; name one of hf:{dataset}:train, hf:{dataset}:test"):
        open_source(f"hf:{dataset}")
    with pytest.raises(SourceError, match=f"hf:{dataset} has no split 'dev'; name one of hf:{dataset}:train"):
        open_source(f"hf:{dataset}:dev")


@pytest.mark.parametrize("spec", ["hf:", "hf:a:", "hf:a:b:c:d", "hf:./nowhere", "hf:/nowhere:train"])
def test_what_names_no_dataset_is_refused(spec: str):
    with pytest.raises(SourceError, match=r"names no dataset|no such directory"):
        open_source(spec)


def test_a_hub_out_of_reach_is_one_line():
    """In a process of its own, for the library reads the setting once; without it, it tries for half a minute."""
    code = "from producer.sources import open_source; open_source('hf:stanfordnlp/imdb:train')"
    surroundings = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=surroundings, capture_output=True, text=True, check=False)
    assert "SourceError: hf:stanfordnlp/imdb:train can not be read: " in done.stderr.splitlines()[-1]


def test_datasets_load_no_model_library(dataset: Path):
    code = (
        f"import sys; from producer.sources import open_source; next(open_source('hf:{dataset}:train').records())\n"
        "print(sorted({'tensorflow', 'torch', 'keras', 'transformers', 'openvino'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
