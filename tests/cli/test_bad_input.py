"""Whatever is wrong with a command: one clear line, exit code 2, no traceback, no job."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.samples import CHECKPOINTS

Run = Callable[..., CompletedProcess[str]]
BERT = CHECKPOINTS / "bert"


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    path = tmp_path / "reviews.csv"
    path.write_text("key,body,stars\n1,good,5\n2,bad,1\n")
    return path


def refused(result: CompletedProcess[str], *said: str) -> None:
    assert result.returncode == 2, result
    assert result.stdout == ""
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error:")]
    assert len(errors) == 1, result.stderr
    assert "Traceback" not in result.stderr
    for words in said:
        assert words in errors[0]


def no_jobs(run: Run) -> None:
    assert json.loads(run("jobs", "list", "--json").stdout) == []


def test_sources_that_cannot_be_read(run: Run, tmp_path: Path) -> None:
    binary, empty, header = tmp_path / "photo.csv", tmp_path / "empty.csv", tmp_path / "header.csv"
    binary.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20)
    empty.touch()
    header.write_text("key,body\n")
    (tmp_path / "folder").mkdir()
    for source, said in (
        ("nowhere.csv", "no such file"),
        (binary, "photo.csv"),
        (empty, "empty"),
        (header, "no rows"),
        (tmp_path / "folder", "the directory"),
        (tmp_path / "*.tsv", "no file matches"),
        ("reviews.xlsx", "csv"),
        ("sql:postgresql://me:s3cret@127.0.0.1:9/shop?table=texts", "can not be read: connection failed"),
        ("hf:./nowhere", "no such directory: './nowhere'"),
        ("https://127.0.0.1:9/reviews.csv", "can not be read"),
        ("-", "standard input is empty"),
        ("demo:songs", "imdb"),
        ("demo:imdb:middle", "train"),
    ):
        result = run("score", source, "--text", "body", "--model", BERT)
        refused(result, said)
        assert "s3cret" not in result.stderr
    no_jobs(run)


def test_a_way_to_read_that_is_none(run: Run, reviews: Path) -> None:
    for command in (["score"], ["finetune", "--label", "stars", "--name", "m"]):
        refused(run(*command, reviews, "--text", "body", "--encoding", "klingon"), "no encoding is called 'klingon'")
        refused(run(*command, reviews, "--text", "body", "--delimiter", "::"), "'::' can be no delimiter")
    no_jobs(run)


def test_one_of_several_sources_without_a_column_is_named(run: Run, reviews: Path, tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("key;text\n1;good\n")
    result = run("score", "reviews.csv", "other.csv", "--text", "body", "--model", BERT)
    refused(result, "no column 'body' in other.csv; the columns are 'key', 'text'")
    assert "'other.csv' is read with ';' between fields; --delimiter overrules it" in result.stderr
    no_jobs(run)


def test_a_missing_column_names_those_there_are(run: Run, reviews: Path) -> None:
    refused(run("score", reviews, "--text", "bodi", "--model", BERT), "'bodi'", "'key', 'body', 'stars'")
    refused(run("score", reviews, "--text", "body", "--id", "nr", "--model", BERT), "'nr'")
    refused(run("finetune", reviews, "--text", "body", "--label", "mark", "--name", "m", "--base", BERT), "'mark'")
    no_jobs(run)


def test_an_unknown_way_to_read_long_texts_names_those_there_are(run: Run, reviews: Path) -> None:
    refused(
        run("score", reviews, "--text", "body", "--model", BERT, "--long", "sideways"),
        "'--long': 'sideways' is not one of 'truncate', 'head-tail', 'window'",
    )
    no_jobs(run)


def test_models_that_are_not_there(run: Run, reviews: Path, tmp_path: Path) -> None:
    refused(run("score", reviews, "--text", "body", "--model", "nobody"), "nobody", "the registry is empty")
    refused(run("score", reviews, "--text", "body", "--model", "./nowhere"), "there is no directory ./nowhere")
    refused(run("score", reviews, "--text", "body", "--model", tmp_path), "config.json")
    refused(run("models", "show", "nobody"), "nobody")
    no_jobs(run)


def test_without_a_hub_the_default_model_says_what_to_do(
    run: Run, reviews: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    refused(run("score", reviews, "--text", "body"), "--model a directory", "--base minilm")
    no_jobs(run)


def test_an_unreachable_redis(run: Run, reviews: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REVIEWMILL_REDIS_URL", "redis://:secret@127.0.0.1:9/0")
    for more in ([], ["--no-wait"]):
        result = run("score", reviews, "--text", "body", "--model", BERT, *more)
        refused(result, "127.0.0.1:9", "does not answer")
        assert "secret" not in result.stderr
    refused(run("worker"), "does not answer")
    no_jobs(run)


def test_an_unreachable_database(run: Run, reviews: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REVIEWMILL_DATABASE_URL", "postgresql://me:secret@127.0.0.1:9/reviews")
    result = run("score", reviews, "--text", "body", "--model", BERT)
    refused(result, "127.0.0.1:9", "cannot be used")
    assert "secret" not in result.stderr
    refused(run("jobs", "list"), "cannot be used")


def test_a_server_without_tables_says_which_command_makes_them(
    run: Run, empty_postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REVIEWMILL_DATABASE_URL", empty_postgresql_url)
    refused(run("jobs", "list"), "run: reviewmill db upgrade")
    assert run("db", "upgrade").returncode == 0
    no_jobs(run)


TWO_OF_EACH = "body,label\na,x\nb,x\nc,y\nd,y\n"


def finetune(run: Run, source: Path, *more: object) -> CompletedProcess[str]:
    """Without --no-wait: what cannot work is refused before a stack is started."""
    return run("finetune", source, "--text", "body", "--label", "label", "--name", "m", "--base", BERT, *more)


#: What is in data.csv, the options beside it, and what is said.
HOPELESS = [
    ("body,label\na,x\nb,x\n", [], "training needs at least two labels, and the source has only 'x' to train on"),
    (TWO_OF_EACH + "e,z\n", [], "a label needs at least 2 different texts, and the label 'z' has fewer"),
    (
        TWO_OF_EACH,
        ["--keep-head"],
        "does not know the labels 'x', 'y'; it has the labels 'negative', 'neutral', 'p",
    ),
    ("body,label\na,1\nb,nan\n", ["--regression"], "line 3 of data.csv: the target is nan; it must be a finite"),
    ("body,label\na,1\nb,1\n", ["--regression"], "the target of every text to train on is 1.0"),
    (TWO_OF_EACH, ["--regression"], "line 2 of data.csv: the target is 'x'; it must be a finite number"),
    (TWO_OF_EACH, ["--multi-label", "--label", "body"], "the label column 'label' holds 'x'; it must hold 0 or 1"),
    (TWO_OF_EACH, ["--multi-label", "--label", "cost"], "no column 'cost'; the columns are 'body', 'label'"),
    (TWO_OF_EACH, ["--label", "body"], "add it, or name one column"),
    (TWO_OF_EACH, ["--multi-label", "--label", "label"], "a --label column is named twice"),
    (TWO_OF_EACH, ["--multi-label", "--regression"], "--multi-label and --regression exclude each other"),
    (
        "body,label\na,1\nb,2\n",
        ["--regression", "--class-weights", "balanced"],
        "exclude one another, and this is regression; leave it out",
    ),
    (TWO_OF_EACH, ["--early-stopping", "mae"], "give loss, accuracy, macro_f1"),
    (TWO_OF_EACH, ["--early-stopping", "loss", "--validation-split", "0"], "none of these are held out"),
    (TWO_OF_EACH, ["--patience", "2"], "--patience is for --early-stopping"),
    (TWO_OF_EACH, ["--freeze", "--lora-rank", "8"], "--freeze and --lora-rank exclude each other"),
    (TWO_OF_EACH, ["--validation-split", "0.6", "--test-split", "0.4"], "together the shares must be below 1"),
    (TWO_OF_EACH, ["--validation", "data.csv"], "no text of data.csv is left for train"),
    (TWO_OF_EACH, ["--test", "other.csv"], "the test source has the label 'w', which the model will not know"),
    (TWO_OF_EACH, ["--test", "nowhere.csv"], "no such file: 'nowhere.csv'"),
    (TWO_OF_EACH, ["--validation", "columns.csv"], "no column 'label'; the columns are 'body', 'stars'"),
    (TWO_OF_EACH, ["--test", "other.csv", "--test-split", "0.2"], "--test and --test-split exclude each other"),
    (TWO_OF_EACH, ["--base", "decoder"], "only encoders classify here"),
    (TWO_OF_EACH, ["--base", "gpt"], "model_type 'gpt2' in config.json is not supported; the families are bert"),
]


@pytest.fixture
def beside(tmp_path: Path) -> None:
    """Other sources, and bases that are no encoders."""
    (tmp_path / "other.csv").write_text("body,label\ne,w\n")
    (tmp_path / "columns.csv").write_text("body,stars\ne,5\n")
    for name, changed in (("decoder", {"is_decoder": True}), ("gpt", {"model_type": "gpt2"})):
        shutil.copytree(BERT, tmp_path / name)
        config = json.loads((BERT / "config.json").read_text())
        (tmp_path / name / "config.json").write_text(json.dumps(config | changed))


def test_what_cannot_be_fine_tuned(run: Run, tmp_path: Path, beside: None) -> None:
    for content, options, said in HOPELESS:
        (tmp_path / "data.csv").write_text(content)
        result = finetune(run, tmp_path / "data.csv", *options)
        refused(result, said)
        assert "embedded stack" not in result.stderr
    no_jobs(run)
    assert json.loads(run("models", "list", "--json").stdout) == []


#: The options beside --text and --name, and what is said.
UNTEACHABLE = [
    (["--label", "label", "--label-weight", "0.5"], "--label-weight is for a student; name its --teacher"),
    (["--label", "label", "--distill-temperature", "2"], "--distill-temperature is for a student; name its --teacher"),
    (["--teacher", "nobody"], "no model is named 'nobody'"),
    (["--teacher", BERT, "--label", "label"], "the teacher bert@1 does not know the labels 'x', 'y'; it has the"),
    (
        ["--teacher", BERT, "--multi-label"],
        "the teacher bert@1 is made for single label classification, and this is mu",
    ),
    (["--teacher", BERT, "--keep-head"], "--keep-head and --teacher exclude each other"),
    (["--teacher", BERT, "--calibrate"], "--calibrate fits a temperature on held-out texts, and none of these are"),
    (["--teacher", BERT, "--layers", "3"], "--layers 3: bert@1 has 2 encoder layers; keep 1 to 2"),
    (["--teacher", BERT, "--layers", "0"], "0 is not in the range x>=1"),
    (["--teacher", BERT, "--label-weight", "1.5"], "1.5 is not in the range 0<=x<=1"),
    (["--teacher", BERT, "--distill-temperature", "0"], "0.0 is not in the range 0<x<=100"),
    (
        ["--teacher", CHECKPOINTS / "bert-regression", "--distill-temperature", "2"],
        "--distill-temperature is for labels that exclude one another, and bert-regression@1 is made for regression",
    ),
    (["--label", "label", "--base", CHECKPOINTS / "albert", "--layers", "3"], "share 2 groups of weights; keep a mult"),
]


def test_what_cannot_be_taught(run: Run, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text(TWO_OF_EACH)
    for options, said in UNTEACHABLE:
        result = run("finetune", "data.csv", "--text", "body", "--name", "m", *options)
        refused(result, said)
        assert "embedded stack" not in result.stderr
    no_jobs(run)


def test_a_teacher_whose_files_are_not_those_that_were_registered(run: Run, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text(TWO_OF_EACH)
    shutil.copytree(BERT, tmp_path / "folder")
    assert run("models", "add", "./folder", "--name", "mine").returncode == 0
    with (tmp_path / "folder" / "config.json").open("a") as file:
        file.write(" ")
    student = ("finetune", "data.csv", "--text", "body", "--name", "m", "--teacher", "mine", "--base", BERT)
    refused(
        run(*student),
        "the teacher mine@1 cannot be asked: the files of mine@1 in",
        "are no longer those that were registered",
    )
    shutil.rmtree(tmp_path / "folder")
    refused(run(*student), "the teacher mine@1 cannot be asked: the files of mine@1 are gone")
    no_jobs(run)


def test_a_text_to_learn_from_that_is_none(run: Run, tmp_path: Path) -> None:
    source = tmp_path / "data.jsonl"
    source.write_text('{"body": "good", "label": "x"}\n{"body": 5, "label": "y"}\n')
    refused(finetune(run, source), "line 2 of data.jsonl: the text is a number, not text")
    no_jobs(run)


def test_a_calibration_without_held_out_texts(run: Run, reviews: Path) -> None:
    reviews.write_text("key,body,stars\n" + "".join(f"{n},text {n},{1 + n % 2}\n" for n in range(8)))
    labelled = ("finetune", reviews, "--text", "body", "--label", "stars", "--name", "m", "--base", BERT)
    refused(run(*labelled, "--calibrate", "--validation-split", "0", "--no-wait"), "--validation-split above 0")
    no_jobs(run)


@pytest.mark.parametrize(
    "arguments",
    [
        ["score", "reviews.csv", "--text", "body", "--priority", "urgent"],
        ["score", "reviews.csv", "--text", "body", "--limit", "0"],
        ["finetune", "reviews.csv", "--text", "body", "--label", "stars", "--name", "../m"],
        ["finetune", "reviews.csv", "--text", "body", "--label", "stars", "--name", "m", "--class-weights", "fair"],
        ["finetune", "reviews.csv", "--text", "body", "--label", "stars", "--name", "m", "--lora-rank", "0"],
        ["results", "--min-probability", "1.5"],
        ["results", "--job", "7"],
        ["results", "--label", "meh"],
        ["jobs", "show", "7"],
        ["jobs", "watch", "x"],
        ["worker", "--queues", "letters"],
        ["worker"],
        ["nonsense"],
    ],
)
def test_commands_that_make_no_sense(run: Run, reviews: Path, arguments: list[str]) -> None:
    refused(run(*arguments))


def test_a_setting_that_is_wrong_is_named(run: Run, reviews: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REVIEWMILL_CHUNK_SIZE", "many")
    refused(run("score", reviews, "--text", "body", "--model", BERT, "--no-wait"), "REVIEWMILL_CHUNK_SIZE", "'many'")
    monkeypatch.setenv("REVIEWMILL_CHUNK_SIZE", "0")
    refused(run("score", reviews, "--text", "body", "--model", BERT, "--no-wait"), "greater than or equal to 1")
    no_jobs(run)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--devices", "tpu"), ("'tpu' is no device of this machine", "there are auto, cpu")),
        (("--devices", "99"), ("'99' is no device of this machine", "there are auto, cpu")),
        (("--devices", "cpu,cpu"), ("names cpu 2 times", "no two processes share a device")),
        (("--devices", "cpu:scores"), ("'cpu:scores' names no queues", "DEVICE:score+train")),
        (("--devices", "cpu:"), ("'cpu:' names no queues",)),
        (("--devices", ""), ("'' is no device",)),
        (("--processes", "100000"), ("100000 processes need as many cores", "--processes takes 1 to")),
        (("--processes", "0"), ("x>=1",)),
    ],
)
def test_devices_that_are_none(
    run: Run, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], said: tuple[str, ...]
) -> None:
    monkeypatch.setenv("REVIEWMILL_REDIS_URL", "redis+socket:///nowhere")
    refused(run("worker", *options), *said)
