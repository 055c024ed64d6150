"""Fine-tuning one claimed job: examples from SQL in, a new version in the registry out."""

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from broker import tracing
from db.checkpoint import CheckpointFacts, read_checkpoint_facts
from db.claims import Claim, finish_chunk
from db.durable import put_in_place
from db.errors import DatabaseUnreachable
from db.jobs import settle_job
from db.lineage import check_allowed
from db.provenance import data_of_job
from db.registry import RegisteredModel, register_model
from db.training import TrainingExample, forget_metrics, load_examples, set_trained_model, store_metrics
from worker import metrics as counted
from worker.checkpoints.classifier import Classifier
from worker.checkpoints.compute import computing_in, format_of_products, has_gpu
from worker.checkpoints.heads import divide_logits
from worker.checkpoints.load import load_classifier
from worker.checkpoints.save import save_checkpoint
from worker.checkpoints.tokenizer import load_tokenizer
from worker.checkpoints.vocabulary import met_tokens, renumber
from worker.context import WorkerContext
from worker.lease import Heartbeat
from worker.training.answers import Answers
from worker.training.callbacks import CurveWriter, StateKeeper, StepMeter, Validator, Write
from worker.training.distillation import taught_targets
from worker.training.early_stopping import BestEpoch
from worker.training.files import states_folder, tidy, version_folder
from worker.training.fit import Encoding, compile_classifier, encode_examples, fit_classifier, tokenize_examples
from worker.training.held_out import HeldOut
from worker.training.lora import add_adapters, merge_adapters
from worker.training.out_of_memory import saying_what_to_lower
from worker.training.progress import Progress
from worker.training.provenance import provenance_of
from worker.training.state import TrainingStates, fingerprint
from worker.training.teacher import Teacher, TeacherAnswers
from worker.training.temperature import fit_temperature
from worker.training.trainable import freeze_encoder
from worker.training.validation import Validation

log = structlog.get_logger()


def finetune(context: WorkerContext, claims: Sequence[Claim], heartbeat: Heartbeat) -> None:
    """Train, save, evaluate what was saved, and register it; go on where an earlier attempt was cut short.

    A training is always claimed alone. One that was asked to calibrate does so between saving and evaluating.

    Raises LeaseLost where the claim is no longer ours, StopRequested, TrainingError, ModelNotAllowed, ModelMissing
    and ModelChanged where the base's or the teacher's files are not to be had, StoreUnreachable, and OSError where the
    disk refuses the model.
    """
    (claim,) = claims
    params, settings = claim.params, context.settings
    with context.database.read() as connection:
        check_allowed(connection, settings.allowed, Path(params["base_directory"]), made_below=settings.models_dir)
    base = context.models.files.folder(params["base_directory"], f"the base {params['base']}", check=True)
    try:
        with context.device:
            _make_version(context, claim, heartbeat, base)
    finally:
        # A job that is over, cancelled perhaps while it was trained here, has no use for its states.
        tidy(context.database, context.settings.models_dir, params["name"])


def _make_version(context: WorkerContext, claim: Claim, heartbeat: Heartbeat, base: Path) -> None:
    started = time.monotonic()
    # Reading the facts digests the weights, so it is done once for the base and once for the result.
    base_facts = read_checkpoint_facts(base)
    teacher = _teacher_answers(context, claim, heartbeat, base_facts)
    with saying_what_to_lower(claim.params), tracing.step("train", steps=claim.params["steps"]):
        model, metrics = _train(context, claim, heartbeat, base, base_facts, teacher)
    heartbeat.check()
    directory = _save(context, claim, model, base, base_facts.max_tokens)
    held_out = HeldOut(context, claim, heartbeat.check, directory, base_facts.max_tokens, teacher)
    try:
        if claim.params.get("calibrate"):
            metrics["temperature"] = _calibrate(model, held_out.answers("validation"))
            _save(context, claim, model, base, base_facts.max_tokens)
        with tracing.step("evaluate"):
            metrics |= held_out.metrics(metrics.get("temperature"))
        facts = read_checkpoint_facts(directory)
        provenance = _provenance(context, claim, base_facts, time.monotonic() - started)
        place = context.models.files.keep(directory, facts.digest)
        with tracing.step("write"):
            record = _publish(context, claim, place, facts, metrics, provenance)
    except DatabaseUnreachable:
        # The version may be registered: the connection can end after the commit. Tidying will tell.
        raise
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise
    counted.note_done(claim, heartbeat.claimed_at)
    scores = {name: value for name, value in metrics.items() if name != "evaluation"}
    about = {"model": record.reference, "seconds": provenance["seconds"], **scores}
    log.info("model trained", action="model_trained", job=claim.job_id, **about)


def _teacher_answers(
    context: WorkerContext, claim: Claim, heartbeat: Heartbeat, base: CheckpointFacts
) -> TeacherAnswers | None:
    if "teacher" not in claim.params:
        return None
    folder = states_folder(context.settings.models_dir, claim.params["name"], claim.job_id)
    return Teacher(context, claim, heartbeat.check, folder, fingerprint(claim.params, base.digest)).answers()


def _train(
    context: WorkerContext,
    claim: Claim,
    heartbeat: Heartbeat,
    base: Path,
    facts: CheckpointFacts,
    teacher: TeacherAnswers | None,
) -> tuple[Classifier, dict[str, Any]]:
    params = claim.params
    tokenizer = load_tokenizer(base)
    data, held_out = _read_examples(context, claim, heartbeat, tokenizer, facts.max_tokens, teacher)
    met = met_tokens([*data.encoded, *held_out.encoded], tokenizer.pad_token_id)
    data, held_out = (replace(one, encoded=renumber(one.encoded, met)) for one in (data, held_out))
    model, precision = _new_model(base, params, met)
    best = BestEpoch(model, params["early_stopping"], params["patience"])
    states = _states(context, claim, facts, best)
    first = states.restore(model)
    with context.database.write() as connection:
        forget_metrics(connection, claim.job_id, first)
    progress = Progress(params["steps"], params["epochs"], first, params["accumulate"])
    budget = context.settings.first_token_budget
    validation = Validation(model, held_out, tokenizer.pad_token_id, budget, heartbeat.check)
    write = _curve(context, claim)
    validator = Validator(validation.measure, write, progress, best)
    keeper = StateKeeper(states, heartbeat.check, progress, context.settings.checkpoint_s)
    began = time.monotonic()
    with counted.training(params["name"]):
        if not validator.catch_up():
            meter = StepMeter(params["name"], context.models.device, progress)
            callbacks = [meter, CurveWriter(write, progress), keeper, validator]
            fit_classifier(model, data, params, tokenizer.pad_token_id, callbacks, first)
    seconds = round(time.monotonic() - began, 2)
    metrics = {"train_examples": len(data.encoded), "training_precision": precision, "training_seconds": seconds}
    metrics |= best.put_back()
    merge_adapters(model)
    return model, metrics | ({"resumed_from_step": first} if first else {})


def _read_examples(
    context: WorkerContext,
    claim: Claim,
    heartbeat: Heartbeat,
    tokenizer: Any,
    max_tokens: int,
    teacher: TeacherAnswers | None,
) -> tuple[Encoding, Encoding]:
    """What is trained on, and what is measured after each epoch, tokenized."""
    params = claim.params
    max_length = min(params["max_length"] or max_tokens, max_tokens)
    with context.database.read() as connection:
        examples, validated = (load_examples(connection, claim.job_id, split) for split in ("train", "validation"))
    # What a student's teacher says of unlabelled ones is not what is right.
    labelled = [one for one in validated if one.label is not None]
    return (
        _encode(examples, params, tokenizer, max_length, heartbeat.check, teacher),
        _encode(labelled, params, tokenizer, max_length, heartbeat.check),
    )


def _encode(
    examples: Sequence[TrainingExample],
    params: Mapping[str, Any],
    tokenizer: Any,
    max_length: int,
    check: Callable[[], None],
    teacher: TeacherAnswers | None = None,
) -> Encoding:
    """Tokenize examples; their targets are their labels, or what a teacher and the labels say together."""
    if teacher is None:
        return encode_examples(tokenizer, examples, params["labels"], params["problem_type"], max_length, check)
    return Encoding(tokenize_examples(tokenizer, examples, max_length, check), _taught(teacher, examples, params))


def _taught(teacher: TeacherAnswers, examples: Sequence[TrainingExample], params: Mapping[str, Any]) -> np.ndarray:
    return taught_targets(
        teacher.of([one.review_id for one in examples]),
        [one.label for one in examples],
        params["labels"],
        params["problem_type"],
        temperature=params["teacher"]["temperature"],
        label_weight=params["teacher"]["label_weight"],
    )


def _new_model(base: Path, params: Mapping[str, Any], met: np.ndarray) -> tuple[Classifier, str]:
    """The base as a compiled model of those tokens with a head for the labels, and the precision it trains in."""
    precision = format_of_products()
    with computing_in(precision if has_gpu() else "float32"):
        model = load_classifier(
            base,
            labels=params["labels"],
            problem_type=params["problem_type"],
            seed=params["seed"],
            dropout=params["dropout"],
            layers=params.get("layers"),
            met_tokens=met,
            products=precision,
        )
    if params["freeze"] or params["lora_rank"]:
        freeze_encoder(model)
    if params["lora_rank"]:
        add_adapters(model, params["lora_rank"], params["seed"])
    compile_classifier(model, params)
    return model, precision


def _states(context: WorkerContext, claim: Claim, base: CheckpointFacts, best: BestEpoch) -> TrainingStates:
    folder = states_folder(context.settings.models_dir, claim.params["name"], claim.job_id)
    return TrainingStates(folder, claim.attempt, fingerprint(claim.params, base.digest), best.variables)


def _curve(context: WorkerContext, claim: Claim) -> Write:
    def write(epoch: int, step: int, values: Mapping[str, float]) -> None:
        try:
            with context.database.write() as connection:
                store_metrics(connection, claim.job_id, epoch, step, values)
        except DatabaseUnreachable as error:
            # A point of the curve is no reason to stop: the lease tells when the database is gone for too long.
            log.warning("point of the curve lost", action="curve_point_lost", step=step, reason=str(error))

    return write


def _save(context: WorkerContext, claim: Claim, model: Classifier, base: Path, max_tokens: int) -> Path:
    target = version_folder(context.settings.models_dir, claim.params["name"], claim.job_id, claim.attempt)

    def write(folder: Path) -> None:
        save_checkpoint(
            model,
            base,
            folder,
            labels=claim.params["labels"],
            problem_type=model.problem_type,
            max_tokens=max_tokens,
        )

    put_in_place(target, write)
    return target


def _calibrate(model: Classifier, answers: Answers) -> float:
    """Divide the model's logits by the temperature that suits these answers; return it, 1 where none does."""
    temperature = fit_temperature(answers.logits, answers.targets)
    if temperature is None:
        log.warning("every example is right: no temperature", action="not_calibrated", examples=len(answers.targets))
        return 1.0
    divide_logits(model, temperature)
    return temperature


def _provenance(context: WorkerContext, claim: Claim, base: CheckpointFacts, seconds: float) -> dict[str, Any]:
    with context.database.read() as connection:
        data = data_of_job(connection, claim.job_id)
    return provenance_of(claim, base.digest, data, context.models.device, seconds)


def _publish(
    context: WorkerContext,
    claim: Claim,
    place: str,
    facts: CheckpointFacts,
    metrics: dict[str, Any],
    provenance: dict[str, Any],
) -> RegisteredModel:
    with context.database.write() as connection:
        finish_chunk(connection, claim, scored=len(claim.review_ids))
        record = register_model(
            connection,
            claim.params["name"],
            place,
            facts,
            kind="finetuned",
            base=claim.params["base"],
            metrics=metrics,
            provenance=provenance,
        )
        set_trained_model(connection, claim.job_id, record.id)
        settle_job(connection, claim.job_id)
    return record
