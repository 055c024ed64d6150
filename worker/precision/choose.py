"""Choosing the precision in which this worker's device serves a model: remembered, ordered, or found by the guard."""

import json
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Connection

from broker.child import run_child
from db.checkpoint import SINGLE_LABEL
from db.database import Database
from db.file_lock import locked
from db.jobs import JobStatus, job_status
from db.precisions import examples_of_model, find_precision, remember_precision, sample_texts
from db.registry import RegisteredModel
from worker.engines.choose import NULL, choose_engine
from worker.engines.cpu.artefacts import Artefacts, build_artefacts
from worker.engines.cpu.variants import EVERY_RUNG, FLOAT32, ONNX, candidates
from worker.errors import PrecisionError
from worker.precision.guard import Limits
from worker.settings import WorkerSettings

#: Reviews that quantization looks at to learn the ranges of values.
_CALIBRATION_TEXTS = 300
AUTO = "auto"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class PrecisionChooser:
    """Decides for one device, and writes decisions and their figures to SQL."""

    database: Database
    settings: WorkerSettings
    device: str

    def choose(self, record: RegisteredModel, job_id: int) -> str:
        """The name of the variant that serves this model for this job.

        Raises PrecisionError, CheckpointLoadError, EngineBuildError and OSError.
        """
        with self.database.read() as connection:
            job = job_status(connection, job_id)
        asked = asked_precision(job.params, self.settings)
        if asked == FLOAT32.name:
            return FLOAT32.name
        if choose_engine(self.settings.engine, self.device) == "tensorflow":
            return _tensorflows(asked)
        artefacts = build_artefacts(self.settings.engines_dir, Path(record.path), record.digest)
        # One search a machine; whoever waited finds its result.
        with locked(artefacts.folder.with_suffix(".search.lock")):
            return self._known(record, artefacts, job, asked) or self._find(record, artefacts, job, asked)

    def _known(self, record: RegisteredModel, artefacts: Artefacts, job: JobStatus, asked: str) -> str | None:
        with self.database.read() as connection:
            build = artefacts.folder.name
            known = find_precision(connection, record.id, self.device, _source(job), asked, build)
        may_serve = [*candidates(asked, self.settings.engine), FLOAT32.name]
        is_of_use = known is not None and known.chosen in may_serve and artefacts.has(known.chosen)
        return known.chosen if known is not None and is_of_use else None

    def _find(self, record: RegisteredModel, artefacts: Artefacts, job: JobStatus, asked: str) -> str:
        if asked == AUTO and job.total < self.settings.search_from:
            return FLOAT32.name
        with self.database.read() as connection:
            request = self._request(connection, record, artefacts, job, asked)
        if asked == AUTO and len(request["texts"]) < self.settings.guard_texts:
            return FLOAT32.name
        log.info("looking for a precision", action="precision_search", model=record.reference, asked=asked)
        try:
            rungs = _walk_down(request, artefacts.folder)
        except PrecisionError as error:
            if asked != AUTO:
                raise
            log.warning("no precision found", action="precision_search_failed", reason=str(error))
            return FLOAT32.name
        chosen = rungs[-1]["precision"] if rungs else None
        if chosen is None:
            who = "ONNX Runtime" if self.settings.engine == ONNX else "this CPU"
            raise PrecisionError(f"{who} cannot compute in {asked}; ask for float32, or for auto")
        with self.database.write() as connection:
            remember_precision(
                connection,
                record.id,
                self.device,
                _source(job),
                asked=asked,
                build=artefacts.folder.name,
                chosen=chosen,
                rungs=rungs,
            )
        log.info("precision chosen", action="precision_chosen", model=record.reference, precision=chosen, asked=asked)
        return str(chosen)

    def _request(
        self, connection: Connection, record: RegisteredModel, artefacts: Artefacts, job: JobStatus, asked: str
    ) -> dict[str, Any]:
        drawn = sample_texts(connection, job.id, self.settings.guard_texts + _CALIBRATION_TEXTS)
        # A fine-tuned model is calibrated on what it was trained on.
        trained = examples_of_model(connection, record.id, "train", _CALIBRATION_TEXTS)
        labelled, known = self._known_labels(connection, record)
        texts = drawn[: self.settings.guard_texts]
        calibration = [(text, pair) for text, pair, _ in trained] or drawn[self.settings.guard_texts :] or texts
        return {
            "checkpoint": record.path,
            "digest": record.digest,
            "folder": str(artefacts.folder),
            "family": record.family,
            "problem_type": record.problem_type,
            "max_tokens": record.max_tokens,
            "token_budget": self.settings.first_token_budget,
            "texts": texts,
            "calibration": calibration,
            "labelled": labelled,
            "known": known,
            "limits": asdict(self._limits()),
            "names": candidates(asked, self.settings.engine),
        }

    def _known_labels(
        self, connection: Connection, record: RegisteredModel
    ) -> tuple[list[tuple[str, str | None]], list[int]]:
        """Texts held out, and the index of each one's label; none where a text has not the one right label."""
        if record.problem_type != SINGLE_LABEL:
            return [], []
        count = self.settings.guard_texts
        held_out = examples_of_model(connection, record.id, "validation", count, labelled=True)
        return [(text, pair) for text, pair, _ in held_out], [record.labels.index(label) for _, _, label in held_out]

    def _limits(self) -> Limits:
        return Limits(**{name: getattr(self.settings, f"guard_{name}") for name in Limits.__slots__})


def asked_precision(params: Mapping[str, Any], settings: WorkerSettings) -> str:
    """What the job ordered, or else the setting: auto, or the name of a precision."""
    return str(params.get("precision") or settings.precision)


def _tensorflows(asked: str) -> str:
    """What the TensorFlow engine computes in: float32 unless something else is ordered."""
    if asked == AUTO:
        return FLOAT32.name
    from worker.checkpoints.compute import has_bfloat16

    if asked == "bfloat16" and has_bfloat16():
        return asked
    others = ", for bfloat16" if has_bfloat16() else ""
    raise PrecisionError(f"TensorFlow cannot compute in {asked} here; ask for float32{others}, or for auto")


def reusable_precisions(asked: str, engine: str) -> list[str]:
    """The precisions whose answers of before serve a job that asks for this one: it, and all that are more exact.

    What the null engine made up serves only where it is set as the engine.
    """
    if engine == NULL:
        return [NULL, *EVERY_RUNG]
    return EVERY_RUNG if asked == AUTO else EVERY_RUNG[EVERY_RUNG.index(asked) :]


def _source(job: JobStatus) -> str:
    return str(job.params.get("source", ""))


def _walk_down(request: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """Run the ladder in a process of its own; return its rungs. Raises PrecisionError."""
    with tempfile.TemporaryDirectory() as name:
        asked, answer, said = (Path(name) / part for part in ("request.json", "answer.json", "said.log"))
        asked.write_text(json.dumps(request), encoding="utf-8")
        command = [sys.executable, "-m", "worker.precision.ladder", str(asked), str(answer)]
        code, reason = run_child(command, said)
        if code != 0:
            raise PrecisionError(f"no precision could be compared for {folder.name}: {reason}")
        return list(json.loads(answer.read_text(encoding="utf-8")))
