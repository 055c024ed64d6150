"""A job gets the precision that was found, ordered or remembered for its model, its source and this device."""

from collections.abc import Callable, Sequence
from dataclasses import asdict

import pytest
from sqlalchemy import select, update

from db.database import Database
from db.jobs import LabelledReview, NewJob, create_job, job_status
from db.precisions import ChosenPrecision, precisions_of, remember_precision
from db.registry import RegisteredModel
from db.reviews import store_reviews
from db.tables import Model, Precision, Prediction
from db.training import set_trained_model
from tests.samples import SomeReview
from worker.chunks import run_chunk
from worker.context import WorkerContext
from worker.engines.cpu.variants import candidates
from worker.models import LoadedModels
from worker.precision import choose, ladder
from worker.scoring import score_chunks

Add = Callable[..., RegisteredModel]
WORDS = ("wonderful", "terrible")


@pytest.fixture
def model(add_checkpoint: Add) -> RegisteredModel:
    return add_checkpoint("bert")


def make_job(database: Database, model: RegisteredModel, precision: str | None = None, source: str = "a.csv") -> int:
    params = {"source": source, **({"precision": precision} if precision else {})}
    with database.write() as connection:
        texts = [f"a {word} film number {number} of {source}" for number in range(20) for word in WORDS]
        ids = store_reviews(connection, source, [SomeReview(text, text) for text in texts])
        return create_job(connection, NewJob("score", params, [ids], model_id=model.id))[1][0]


def change(context: WorkerContext, **settings: object) -> None:
    context.settings = context.settings.model_copy(update=settings)
    context.models = LoadedModels(context.database, context.settings, "cpu@here")


def decisions(context: WorkerContext) -> Sequence[ChosenPrecision]:
    with context.database.read() as connection:
        return precisions_of(connection, 1)


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    """What the ladder was asked; it is really walked down."""
    asked: list[dict] = []
    walk = choose._walk_down

    def noted(request: dict, folder: object) -> list[dict]:
        asked.append(request)
        return walk(request, folder)  # type: ignore[arg-type]

    monkeypatch.setattr(choose, "_walk_down", noted)
    return asked


def test_a_small_job_is_not_worth_a_search(
    context: WorkerContext, model: RegisteredModel, searches: list[dict]
) -> None:
    run_chunk(context, make_job(context.database, model), score_chunks)
    assert (searches, decisions(context)) == ([], [])


def test_a_job_without_enough_texts_to_compare_is_served_in_float32(
    context: WorkerContext, model: RegisteredModel, searches: list[dict]
) -> None:
    change(context, search_from=1, guard_texts=41)
    run_chunk(context, make_job(context.database, model), score_chunks)
    assert (searches, decisions(context)) == ([], [])


def test_what_was_found_is_written_down_and_found_once(
    context: WorkerContext, model: RegisteredModel, searches: list[dict]
) -> None:
    change(context, search_from=40, guard_texts=30)
    for source in ("a.csv", "a.csv", "b.csv"):
        run_chunk(context, make_job(context.database, model, source=source), score_chunks)
    assert [len(search["texts"]) for search in searches] == [30, 30]  # one for each source
    other = LoadedModels(context.database, context.settings, "cpu@here")
    assert other.get(model.id, 1).record == model
    assert len(searches) == 2
    newest, oldest = decisions(context)
    assert (newest.source, oldest.source) == ("b.csv", "a.csv")
    assert (oldest.asked, oldest.device) == ("auto", "cpu@here")
    # Which it is depends on the CPU; it is the first that the guard does not refuse.
    assert oldest.rungs[-1]["precision"] == oldest.chosen
    assert [rung["refused"] is None for rung in oldest.rungs] == [False] * (len(oldest.rungs) - 1) + [True]
    tried = [rung["figures"]["texts"] for rung in oldest.rungs if rung["figures"]]
    assert tried == [30] * len(tried)


def test_an_order_is_obeyed_and_its_figures_are_kept(context: WorkerContext, model: RegisteredModel) -> None:
    run_chunk(context, make_job(context.database, model), score_chunks)
    with context.database.read() as connection:
        exact = connection.scalars(select(Prediction.score).order_by(Prediction.review_id)).all()
    with context.database.write() as connection:
        connection.execute(Prediction.__table__.delete())
    run_chunk(context, make_job(context.database, model, "int8"), score_chunks)
    with context.database.read() as connection:
        rough = connection.scalars(select(Prediction.score).order_by(Prediction.review_id)).all()
        assert job_status(connection, 2).state == "done"
    assert len(exact) == len(rough) == 40
    assert max(abs(a - b) for a, b in zip(exact, rough, strict=True)) > 1e-4
    (decision,) = decisions(context)
    # Of the two, the one that this CPU is faster at.
    assert decision.chosen in candidates("int8", "auto")
    assert (decision.asked, decision.chosen) == ("int8", decision.rungs[-1]["precision"])
    assert decision.rungs[-1]["figures"]["texts"] == 40


def test_what_this_cpu_cannot_do_fails_the_job_in_a_line(
    context: WorkerContext, model: RegisteredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ladder, "compute_formats", lambda: ["float32"])
    monkeypatch.setattr(
        choose, "_walk_down", lambda asked, _folder: list(map(asdict, ladder.walk_down(ladder.Request(**asked))))
    )
    run_chunk(context, make_job(context.database, model, "bfloat16"), score_chunks)
    with context.database.read() as connection:
        job = job_status(connection, 1)
    assert job.state == "failed"
    assert "this CPU cannot compute in bfloat16; ask for float32, or for auto" in str(job.error)


def test_what_onnx_runtime_cannot_do_fails_the_job_in_a_line(context: WorkerContext, model: RegisteredModel) -> None:
    change(context, engine="onnx")
    run_chunk(context, make_job(context.database, model, "bfloat16"), score_chunks)
    with context.database.read() as connection:
        job = job_status(connection, 1)
    assert job.state == "failed"
    assert "ONNX Runtime cannot compute in bfloat16; ask for float32, or for auto" in str(job.error)


@pytest.mark.parametrize("ordered", ["int8", "bfloat16"])
def test_what_tensorflow_cannot_do_fails_the_job_in_a_line(
    context: WorkerContext, model: RegisteredModel, ordered: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.checkpoints.compute.has_bfloat16", lambda: False)
    change(context, engine="tensorflow")
    run_chunk(context, make_job(context.database, model, ordered), score_chunks)
    with context.database.read() as connection:
        job = job_status(connection, 1)
    assert job.state == "failed"
    assert f"TensorFlow cannot compute in {ordered} here; ask for float32, or for auto" in str(job.error)


def test_tensorflow_serves_in_bfloat16_where_it_is_ordered(
    context: WorkerContext, model: RegisteredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.checkpoints.compute.has_bfloat16", lambda: True)
    change(context, engine="tensorflow")
    for number, (asked, served) in enumerate((("auto", "float32"), ("bfloat16", "bfloat16")), start=1):
        with context.database.write() as connection:
            connection.execute(Prediction.__table__.delete())
        run_chunk(context, make_job(context.database, model, asked), score_chunks)
        with context.database.read() as connection:
            assert job_status(connection, number).state == "done"
            assert set(connection.scalars(select(Prediction.precision))) == {served}


def test_another_library_is_not_used_where_one_is_ordered(
    context: WorkerContext, model: RegisteredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(context, engine="openvino")
    run_chunk(context, make_job(context.database, model, "int8"), score_chunks)
    (decision,) = decisions(context)
    assert [rung["precision"] for rung in decision.rungs] == [decision.chosen] == ["int8"]
    assert candidates("auto", "onnx") == ["int8-dynamic", "int8-dynamic-but-down", "float32"]
    assert candidates("auto", "openvino") == ["int8", "int8-but-down-projections", "bfloat16", "float32"]
    # What another setting found before is found anew.
    with context.database.write() as connection:
        connection.execute(update(Precision).values(chosen="int8-dynamic"))
    assert LoadedModels(context.database, context.settings, "cpu@here").get(model.id, 1).precision == "int8"


def test_a_search_that_breaks_costs_no_job(
    context: WorkerContext, model: RegisteredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(context, search_from=1, guard_texts=10)
    context.models.get(model.id)  # its engine is built by the same program, before that breaks
    monkeypatch.setattr(choose.sys, "executable", "/bin/false")
    run_chunk(context, make_job(context.database, model), score_chunks)
    with context.database.read() as connection:
        assert job_status(connection, 1).state == "done"
    assert decisions(context) == []


def test_another_build_is_compared_anew(context: WorkerContext, model: RegisteredModel, searches: list[dict]) -> None:
    change(context, search_from=1, guard_texts=10)
    with context.database.write() as connection:
        remember_precision(
            connection, model.id, "cpu@here", "a.csv", asked="auto", build="an old one", chosen="int8", rungs=[]
        )
    run_chunk(context, make_job(context.database, model), score_chunks)
    assert len(searches) == 1
    (decision,) = decisions(context)
    assert decision.build != "an old one"


def trained_on(context: WorkerContext, model: RegisteredModel, labels: Sequence[str]) -> None:
    """Make it a model that was trained on texts with these labels; the last two were held out."""
    with context.database.write() as connection:
        reviews = [SomeReview(str(n), f"trained on {n}") for n in range(len(labels))]
        ids = store_reviews(connection, "train.csv", reviews)
        splits = ["train"] * (len(labels) - 2) + ["validation"] * 2
        examples = [LabelledReview(*one) for one in zip(ids, labels, splits, strict=True)]
        job_id, _ = create_job(connection, NewJob("finetune", {}, [ids], examples=examples))
        set_trained_model(connection, job_id, model.id)
        connection.execute(update(Model).values(kind="finetuned"))


@pytest.mark.parametrize(
    ("name", "labels"), [("roberta-multi-label", ["price|service", "", "price", ""]), ("bert-regression", ["1.5"] * 4)]
)
def test_without_one_right_label_a_text_nothing_is_known(
    context: WorkerContext, add_checkpoint: Add, searches: list[dict], name: str, labels: list[str]
) -> None:
    change(context, search_from=1, guard_texts=10)
    model = add_checkpoint(name)
    trained_on(context, model, labels)
    run_chunk(context, make_job(context.database, model, "int8"), score_chunks)
    (search,) = searches
    assert (search["labelled"], search["known"]) == ([], [])
    assert sorted(text for text, _ in search["calibration"]) == ["trained on 0", "trained on 1"]
    with context.database.read() as connection:
        assert job_status(connection, 2).error is None


def test_it_is_calibrated_on_what_it_was_trained_on(
    context: WorkerContext, model: RegisteredModel, searches: list[dict]
) -> None:
    change(context, search_from=1, guard_texts=10)
    trained_on(context, model, [model.labels[n % 2] for n in range(6)])
    run_chunk(context, make_job(context.database, model, "int8"), score_chunks)
    (search,) = searches
    assert sorted(text for text, _ in search["calibration"]) == [f"trained on {n}" for n in range(4)]
    assert sorted(text for text, _ in search["labelled"]) == ["trained on 4", "trained on 5"]
    assert len(search["known"]) == 2
    assert decisions(context)[0].rungs[-1]["figures"]["accuracy_drop"] is not None
