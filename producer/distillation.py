"""Learning from a teacher: what the student is told of it, and what a teacher cannot teach."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from db.checkpoint import REGRESSION, SINGLE_LABEL
from db.errors import ModelChanged, ModelMissing
from db.model_files import ModelFiles
from db.registry import RegisteredModel
from producer.checkpoints import BaseCheckpoint
from producer.errors import LabelError, TeacherError
from producer.head import head_labels, named
from producer.rows import Columns

#: Softens enough that the teacher's second thoughts count, and not so much that they are all that counts.
DEFAULT_TEMPERATURE = 2.0
#: The labels' share of the loss, where there are labels: teacher and labels count alike.
DEFAULT_LABEL_WEIGHT = 0.5


@dataclass(frozen=True, slots=True)
class Distillation:
    """The version that teaches, and how.

    `temperature` softens its probabilities and those of the student, of labels that exclude one another. `label_weight`
    is the share of the loss that is the labels', 0 to 1, of the examples that have one.
    """

    teacher: RegisteredModel
    temperature: float = DEFAULT_TEMPERATURE
    label_weight: float = DEFAULT_LABEL_WEIGHT

    def as_params(self) -> dict[str, Any]:
        """What the job keeps: this very version, whatever an alias does meanwhile."""
        return {
            "reference": self.teacher.reference,
            "model_id": self.teacher.id,
            "digest": self.teacher.digest,
            "directory": self.teacher.path,
            "temperature": self.temperature,
            "label_weight": self.label_weight,
        }


def check_teacher(teacher: RegisteredModel) -> None:
    """Raise TeacherError where the files of a version are gone, or are no longer those that were registered."""
    try:
        ModelFiles().checked(teacher)
    except (ModelMissing, ModelChanged) as error:
        raise TeacherError(f"the teacher {teacher.reference} cannot be asked: {error}") from error


def taught_columns(columns: Columns, teacher: RegisteredModel) -> Columns:
    """The columns of a source whose rows need no label. What a label is, is the teacher's to say.

    Raises TeacherError where the person said otherwise.
    """
    if columns.problem_type not in (SINGLE_LABEL, teacher.problem_type):
        theirs, ours = (one.replace("_", " ") for one in (teacher.problem_type, columns.problem_type))
        raise TeacherError(f"the teacher {teacher.reference} is made for {theirs}, and this is {ours}")
    return replace(columns, problem_type=teacher.problem_type, unlabelled=True)


def student_labels(found: Sequence[str], base: BaseCheckpoint, columns: Columns, teacher: RegisteredModel) -> list[str]:
    """The labels to train: the teacher's. Raises LabelError where the data has others."""
    unknown = [label for label in found if label not in teacher.labels]
    if unknown and columns.problem_type != REGRESSION:
        raise LabelError(
            f"the teacher {teacher.reference} does not know {named(unknown)}; it has {named(teacher.labels)}"
        )
    return head_labels(teacher.labels, base, columns, keep_head=False)
