"""`models show --report`: one page that needs no network, shows reviews as they are, and runs nothing of them."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
from sqlalchemy import update

from db.checkpoint import CheckpointFacts
from db.jobs import LabelledReview, NewJob, create_job
from db.registry import register_model
from db.reviews import store_reviews
from db.schema import open_database
from db.tables import Model
from db.training import set_trained_model, store_metrics
from tests.pages import Page
from tests.samples import PROVENANCE, SomeReview, facts
from worker.training.answers import Answers, describe

Run = Callable[..., CompletedProcess[str]]
LABELS = ["bad", "good", "<b>odd</b>"]
SINGLE, MULTI, REGRESSION = "single_label_classification", "multi_label_classification", "regression"
#: An attempt of each kind to get something run or loaded.
ATTACK = (
    "<script src='https://evil.example/x.js'>alert(1)</script><img src=x onerror=alert(1)> & \"quoted\" {{ 7 * 7 }}"
)
TEXTS = ["lovely", ATTACK, "so so", "ordinary", "awful"]
#: Their probabilities are 0.9 to 0.5 or so; the second and the last are wrong, the second more surely.
LOGITS = np.array([[0, 3, 0], [0, 4, 0], [0, 1, 0], [2, 0, 0], [0, 1, 0.5]], np.float32)
TARGETS = np.array([1, 0, 1, 0, 0], np.int32)


def add_version(
    problem_type: str,
    logits: np.ndarray,
    targets: np.ndarray,
    temperature: float | None = None,
    labels: Sequence[str] = LABELS,
) -> None:
    """Register stars@1 as fine-tuning would, evaluated on these answers to TEXTS."""
    labels = list(labels[: logits.shape[1]])
    with open_database().write() as connection:
        ids = store_reviews(connection, "f.csv", [SomeReview(f"r{n}", text) for n, text in enumerate(TEXTS)])
        examples = [LabelledReview(id_, "good", "test") for id_ in ids]
        params = {"source": "f.csv", "epochs": 2, "learning_rate": 5e-05, "max_length": None, "steps": 90}
        job_id, _ = create_job(connection, NewJob("finetune", params, [ids], examples=examples))
        metrics: dict[str, Any] = {"test_examples": len(ids), "temperature": temperature}
        metrics |= describe(Answers(ids, targets, logits, problem_type), "test", labels, temperature)
        checkpoint = CheckpointFacts("bert", tuple(labels), problem_type, 512, "d" * 64)
        model = register_model(
            connection,
            "stars",
            Path("/m"),
            checkpoint,
            kind="finetuned",
            base="minilm",
            metrics=metrics,
            provenance=PROVENANCE,
        )
        set_trained_model(connection, job_id, model.id)
        for step in range(1, 91):
            store_metrics(connection, job_id, 1, step, {"loss": 1 / step, "accuracy": 1 - 1 / step})


def report(run: Run, folder: Path) -> Page:
    done = run("models", "show", "stars", "--report", folder / "report.html")
    assert done.returncode == 0, done
    assert "The report on stars@1 is in" in done.stderr
    assert [path.name for path in folder.glob("*report*")] == ["report.html"]
    return Page((folder / "report.html").read_text())


def test_the_page_tells_everything(run: Run, tmp_path: Path) -> None:
    add_version(SINGLE, LOGITS, TARGETS, temperature=1.5)
    page = report(run, tmp_path)
    assert page.texts["h1"] == ["stars@1"]
    card = dict(zip(page.texts["dt"], page.texts["dd"], strict=True))
    assert (card["Base"], card["Examples"], card["Epochs"], card["Learning rate"]) == ("minilm", "5 test", "2", "5e-05")
    assert card["Labels"] == "bad, good, <b>odd</b>"
    assert (card["Seconds"], card["Device"]) == ("149.1", "cpu@box")
    tiles = re.findall(r'<div class="tile"><b>(.+?)</b><span>(.+?)</span>', page.source)
    # Right are 3 of 5; F1 is 2 / 4 for bad (precision 1, recall 1/3) and 4 / 6 for good.
    assert [(name, score) for score, name in tiles][:2] == [("Accuracy", "60.0%"), ("Macro F1", "58.3%")]
    assert [name for _, name in tiles][2:] == ["Calibration error", "Calibration error before scaling"]
    assert [text.split() for text in page.texts["tr"]][1:3] == [
        ["bad", "100.0%", "33.3%", "50.0%", "3"],
        ["good", "50.0%", "100.0%", "66.7%", "2"],
    ]
    matrix = page.source.partition('<table class="matrix">')[2].partition("</table>")[0]
    assert re.findall(r">(\d+)<small>", matrix) == ["1", "2", "0", "0", "2", "0", "0", "0", "0"]
    assert "--share: 0.667" in matrix
    assert len(page.texts["svg"]) == 3
    assert page.texts["h3"] == ["Loss", "Accuracy"]
    assert "a temperature of 1.5" in " ".join(page.source.split())


def test_what_only_validation_tells_says_so(run: Run, tmp_path: Path) -> None:
    add_version(SINGLE, LOGITS, TARGETS)
    with open_database().write() as connection:
        for step, value in ((45, 0.5), (90, 0.75)):
            store_metrics(connection, 1, 1, step, {"val_macro_f1": value})
    page = report(run, tmp_path)
    assert page.texts["h3"] == ["Loss", "Accuracy", "Macro F1"]
    last = page.source.partition("Macro F1</h3>")[2].partition("</figure>")[0]
    assert ">validation<" in last
    assert "training" not in last
    # In the colour that validation has beside training, too.
    assert "var(--second)" in last
    assert "var(--first)" not in last


def test_mistakes_are_shown_as_they_are_and_the_surest_first(run: Run, tmp_path: Path) -> None:
    add_version(SINGLE, LOGITS, TARGETS)
    page = report(run, tmp_path)
    assert page.texts["blockquote"] == [ATTACK, "awful"]
    assert " ".join(page.texts["header"][0].split()) == "It says good, 96.5% sure the label is bad review r1"


def test_nothing_is_loaded_and_nothing_is_run(run: Run, tmp_path: Path) -> None:
    add_version(SINGLE, LOGITS, TARGETS)
    page = report(run, tmp_path)
    page.check_that_nothing_is_loaded()


def test_a_review_that_was_deleted_is_left_out(run: Run, tmp_path: Path) -> None:
    add_version(SINGLE, LOGITS, TARGETS)
    with open_database().write() as connection:
        connection.exec_driver_sql("DELETE FROM examples")
        connection.exec_driver_sql("DELETE FROM reviews WHERE external_id = 'r1'")
    assert report(run, tmp_path).texts["blockquote"] == ["awful"]


def test_several_labels_at_once(run: Run, tmp_path: Path) -> None:
    add_version(MULTI, LOGITS - 1, np.eye(3, dtype=np.int32)[TARGETS])
    page = report(run, tmp_path)
    assert {"Accuracy", "Micro F1", "Macro F1"} <= set(page.texts["span"])
    assert "An answer is right where every label is." in page.source
    assert "matrix" not in page.source.partition("</style>")[2]
    assert "bad" in page.texts["header"][0]


def test_a_regression(run: Run, tmp_path: Path) -> None:
    add_version(REGRESSION, LOGITS[:, 1:2], TARGETS[:, None])
    page = report(run, tmp_path)
    assert {"Mean error", "Root mean square error", "Pearson r"} <= set(page.texts["span"])
    assert " ".join(page.texts["header"][0].split()) == "It says 4.00 the label is 0.00 review r1"


def test_too_many_labels_for_a_matrix(run: Run, tmp_path: Path) -> None:
    logits = np.zeros((5, 40), np.float32)
    logits[:, 7] = 3
    add_version(SINGLE, logits, np.array([7, 8, 8, 9, 7]), labels=[f"label {at}" for at in range(40)])
    rows = [" ".join(text.split()) for text in report(run, tmp_path).texts["tr"]]
    assert rows[-2:] == ["label 8 label 7 2", "label 9 label 7 1"]


def test_a_version_of_which_nothing_was_held_out(run: Run, tmp_path: Path) -> None:
    add_version(SINGLE, LOGITS, TARGETS)
    with open_database().write() as connection:
        connection.execute(update(Model).values(metrics={"train_examples": 5}))
    page = report(run, tmp_path)
    assert "there is nothing to say of how well it does" in " ".join(page.source.split())
    assert page.texts["h2"] == ["The model", "Training"]


def test_people_read_the_labels_and_programs_everything(run: Run) -> None:
    add_version(SINGLE, LOGITS, TARGETS)
    shown = run("models", "show", "stars").stdout
    assert "On the test examples" in shown
    assert re.search(r"^bad +100\.0% +33\.3% +50\.0% +3$", shown, re.MULTILINE)
    assert "confusion" not in shown
    metrics = json.loads(run("models", "show", "stars", "--json").stdout)["metrics"]
    assert metrics["evaluation"]["confusion"] == [[1, 2, 0], [0, 2, 0], [0, 0, 0]]


def test_a_model_that_was_not_trained_here_has_no_report(run: Run, tmp_path: Path) -> None:
    with open_database().write() as connection:
        register_model(connection, "sentiment", Path("/m"), facts(), kind="directory")
    refused = run("models", "show", "sentiment", "--report", tmp_path / "report.html")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("Error: sentiment@1 was not fine-tuned here")
    assert not (tmp_path / "report.html").exists()


def test_a_place_that_cannot_be_written_to_is_named(run: Run, tmp_path: Path) -> None:
    add_version(SINGLE, LOGITS, TARGETS)
    refused = run("models", "show", "stars", "--report", tmp_path / "nowhere" / "report.html")
    assert refused.returncode == 2
    assert "nowhere/report.html cannot be written: No such file" in refused.stderr
