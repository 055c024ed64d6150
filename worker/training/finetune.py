"""Fine-tuning one claimed job: examples from SQL in, a new version in the registry out."""

import shutil
import time
from pathlib import Path
from typing import Any

import structlog

from db.checkpoint import read_checkpoint_facts
from db.claims import Claim, finish_chunk
from db.jobs import settle_job
from db.registry import RegisteredModel, register_model
from db.training import forget_metrics, load_examples, set_trained_model, store_metrics
from worker.checkpoints.classifier import Classifier
from worker.checkpoints.load import load_classifier
from worker.checkpoints.save import save_checkpoint
from worker.checkpoints.tokenizer import load_tokenizer
from worker.context import WorkerContext
from worker.engines.tensorflow import TensorFlowEngine
from worker.errors import TrainingError
from worker.lease import Heartbeat
from worker.training.callbacks import CurveWriter, StopCheck
from worker.training.fit import encode_examples, fit_classifier, held_out_accuracy
from worker.training.precision import training_precision

log = structlog.get_logger()


def finetune(context: WorkerContext, claim: Claim, heartbeat: Heartbeat) -> None:
    """Train, save, evaluate what was saved, and register it. Raises LeaseLost where the claim is no longer ours."""
    base = Path(claim.params["base_directory"])
    if not base.is_dir():
        raise TrainingError(f"the base checkpoint {base} is not a folder on this machine")
    started = time.monotonic()
    with context.device:
        model, metrics = _train(context, claim, heartbeat, base)
        directory = _save(context, claim, model, base)
        try:
            metrics |= _evaluate(context, claim, directory)
            metrics["seconds"] = round(time.monotonic() - started, 1)
            record = _publish(context, claim, directory, metrics)
        except BaseException:
            shutil.rmtree(directory, ignore_errors=True)
            raise
    log.info("model trained", action="model_trained", job=claim.job_id, model=record.reference, **metrics)


def _train(context: WorkerContext, claim: Claim, heartbeat: Heartbeat, base: Path) -> tuple[Classifier, dict[str, Any]]:
    params = claim.params
    with context.database.write() as connection:
        forget_metrics(connection, claim.job_id)
        examples = load_examples(connection, claim.job_id, "train")
    tokenizer = load_tokenizer(base)
    limit = read_checkpoint_facts(base).max_tokens
    data = encode_examples(tokenizer, examples, params["labels"], min(params["max_length"] or limit, limit))
    with training_precision() as precision:
        model = load_classifier(
            base,
            labels=params["labels"],
            problem_type="single_label_classification",
            seed=params["seed"],
            dropout=params["dropout"],
        )
    callbacks = [
        CurveWriter(_curve(context, claim), params["steps"], params["epochs"]),
        StopCheck(heartbeat.check),
    ]
    fit_classifier(model, data, params, tokenizer.pad_token_id, callbacks)
    return model, {"train_examples": len(examples), "training_precision": precision}


def _evaluate(context: WorkerContext, claim: Claim, directory: Path) -> dict[str, Any]:
    """Accuracy of the files that were saved, as they will score, on the examples held out."""
    with context.database.read() as connection:
        held_out = load_examples(connection, claim.job_id, "validation")
    tokenizer = load_tokenizer(directory)
    max_tokens = read_checkpoint_facts(directory).max_tokens
    data = encode_examples(tokenizer, held_out, claim.params["labels"], max_tokens)
    engine = TensorFlowEngine(directory)
    accuracy = held_out_accuracy(engine, data, tokenizer.pad_token_id, context.settings.token_budget)
    return {"validation_examples": len(held_out), "validation_accuracy": accuracy}


def _curve(context: WorkerContext, claim: Claim) -> Any:
    def write(epoch: int, step: int, values: Any) -> None:
        with context.database.write() as connection:
            store_metrics(connection, claim.job_id, epoch, step, values)

    return write


def _save(context: WorkerContext, claim: Claim, model: Classifier, base: Path) -> Path:
    """Write the checkpoint beside its place and rename it there, so that it is seen whole or not at all.

    The attempt is part of the name: another attempt at the same job never writes to the same place.
    """
    name = f"job-{claim.job_id}-{claim.attempt}"
    target = context.settings.models_dir / claim.params["name"] / name
    partial = target.with_name(f".{name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    save_checkpoint(
        model,
        base,
        partial,
        labels=claim.params["labels"],
        problem_type=model.problem_type,
        max_tokens=read_checkpoint_facts(base).max_tokens,
    )
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
    return target


def _publish(context: WorkerContext, claim: Claim, directory: Path, metrics: dict[str, Any]) -> RegisteredModel:
    facts = read_checkpoint_facts(directory)
    with context.database.write() as connection:
        finish_chunk(connection, claim, scored=len(claim.review_ids))
        record = register_model(
            connection,
            claim.params["name"],
            directory,
            facts,
            kind="finetuned",
            base=claim.params["base"],
            metrics=metrics,
        )
        set_trained_model(connection, claim.job_id, record.id)
        settle_job(connection, claim.job_id)
    return record
