"""What a student's teacher says of the student's examples: asked once a job, and the same for every attempt at it."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from safetensors import SafetensorError, safe_open

from db.claims import Claim
from db.predictions import known_verdicts
from db.reviews import StoredReview, load_reviews
from db.tables import TRUNCATE
from db.training import example_ids
from worker.checkpoints.durable import write_tensors
from worker.checkpoints.tokenizer import Encoded, tokenize_each
from worker.context import WorkerContext
from worker.engines.cpu.variants import FLOAT32
from worker.errors import TrainingError
from worker.hold import Hold
from worker.inference import infer
from worker.models import LoadedModel
from worker.probabilities import probabilities
from worker.reading import reusable_readings
from worker.waiting import WaitingBatches

#: Examples that are looked up, tokenized and inferred together.
_REVIEWS_AT_A_TIME = 1_000

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class TeacherAnswers:
    """What the teacher says, float32 [labels], of each example by its review's id: probabilities, or a number.

    In the order of the student's labels.
    """

    by_review: dict[int, np.ndarray]

    def of(self, review_ids: Sequence[int]) -> np.ndarray:
        """The answers for these reviews, float32 [reviews, labels]."""
        return np.stack([self.by_review[review_id] for review_id in review_ids])


@dataclass(frozen=True, slots=True)
class Teacher:
    """The teacher of one job, as one attempt at it knows it.

    Its answers are kept beside the states of the training, under the same `fingerprint`: an attempt that goes on from a
    state goes on with the answers that led there, whatever has been scored, and on what device, meanwhile. What
    `check`, called before every batch, raises ends the asking.
    """

    context: WorkerContext
    claim: Claim
    check: Callable[[], None]
    folder: Path
    fingerprint: str

    def answers(self) -> TeacherAnswers:
        """The answers for every example of the job, of all splits.

        Raises ModelMissing and ModelChanged where the teacher's files are not those that were registered, and
        TrainingError where it has no answer.
        """
        kept = self._kept()
        if kept is None:
            self._keep(asked := self._asked())
            # Another attempt that goes on without knowing that it lost its lease may have been first.
            kept = self._kept() or asked
        return kept

    def _asked(self) -> TeacherAnswers:
        with self.context.database.read() as connection:
            ids = example_ids(connection, self.claim.job_id)
        found: dict[int, np.ndarray] = {}
        for start in range(0, len(ids), _REVIEWS_AT_A_TIME):
            self.check()
            found |= self._of_some(ids[start : start + _REVIEWS_AT_A_TIME])
        log.info("teacher asked", action="teacher_asked", job=self.claim.job_id, examples=len(found))
        return TeacherAnswers(found)

    def _of_some(self, ids: Sequence[int]) -> dict[int, np.ndarray]:
        """The answers that SQL has of this very version in float32, and those of the teacher to all else."""
        labels, model_id = self.claim.params["labels"], self.claim.params["teacher"]["model_id"]
        with self.context.database.read() as connection:
            reviews = load_reviews(connection, ids)
            hashes = [review.text_hash for review in reviews.values()]
            known = known_verdicts(connection, model_id, hashes, [FLOAT32.name], reusable_readings(TRUNCATE))
        found = {}
        for review in reviews.values():
            if review.text_hash in known:
                said = known[review.text_hash].verdict.probabilities
                found[review.id] = np.array([said[label] for label in labels], np.float32)
        rest = [review for review in reviews.values() if review.id not in found]
        if rest:
            found |= zip([review.id for review in rest], self._inferred(rest), strict=True)
        return found

    def _inferred(self, reviews: Sequence[StoredReview]) -> np.ndarray:
        with self.context.models.use(self.claim.params["teacher"]["model_id"]) as loaded:
            if loaded.precision != FLOAT32.name:
                raise TrainingError(f"the {loaded.precision} engine cannot teach; set REVIEWMILL_ENGINE to auto")
            return self._said_by(loaded, reviews)

    def _said_by(self, loaded: LoadedModel, reviews: Sequence[StoredReview]) -> np.ndarray:
        texts, pairs = [review.text for review in reviews], [review.pair for review in reviews]
        each = tokenize_each(loaded.tokenizer, texts, pairs, loaded.record.max_tokens)
        encoded = [one for one in each if isinstance(one, Encoded)]
        reasons = [one for one in each if isinstance(one, str)]
        if not reasons:
            waiting = WaitingBatches(encoded, loaded.budget, loaded.cutter, loaded.tokenizer.pad_token_id)
            with Hold(self.context.device) as hold:
                inferred = infer(loaded, waiting, lambda _done: self.check(), hold)
            reasons = list(inferred.reasons.values())
        if reasons:
            raise TrainingError(f"the teacher {loaded.record.reference} has no answer for an example: {reasons[0]}")
        logits = inferred.logits(range(len(reviews)))
        return self._in_order(probabilities(logits, loaded.record.problem_type), loaded)

    def _in_order(self, values: np.ndarray, loaded: LoadedModel) -> np.ndarray:
        """Values in the order of the student's labels, which may be another."""
        if not np.isfinite(values).all():
            raise TrainingError(f"the numbers of the teacher {loaded.record.reference} are not finite")
        return values[:, [loaded.record.labels.index(label) for label in self.claim.params["labels"]]]

    @property
    def _place(self) -> Path:
        return self.folder / "teacher.safetensors"

    def _kept(self) -> TeacherAnswers | None:
        if not self._place.is_file():
            return None
        try:
            with safe_open(self._place, framework="np") as file:
                about: dict[str, Any] = file.metadata() or {}
                ids, values = (file.get_tensor(name) for name in ("review_ids", "values"))
        except (SafetensorError, OSError) as error:
            log.warning("teacher's answers not read", action="teacher_not_read", reason=str(error))
            return None
        if about.get("fingerprint") != self.fingerprint:
            return None
        return TeacherAnswers(dict(zip(ids.tolist(), values, strict=True)))

    def _keep(self, answers: TeacherAnswers) -> None:
        """Write the answers down for later attempts, if none has before. A disk that refuses them ends nothing."""
        ids = np.array(list(answers.by_review), np.int64)
        tensors = {"review_ids": ids, "values": answers.of(ids.tolist())}
        beside = self._place.with_name(f".teacher-{self.claim.attempt}.partial")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_tensors(beside, tensors, {"fingerprint": self.fingerprint})
            os.link(beside, self._place)
        except FileExistsError:
            log.info("teacher's answers are kept already", action="teacher_kept_already", job=self.claim.job_id)
        except OSError as error:
            log.warning("teacher's answers not kept", action="teacher_not_kept", reason=str(error))
        finally:
            _remove(beside)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("left-over file not removed", action="teacher_not_tidied", reason=str(error))
