"""What a job came to, counted as its chunks end, so that nobody has to go through its predictions to tell.

A chunk ends as done once, whatever became of its attempts, and the transaction that ends it adds its rows here. A row
counts as often as the source has it, with what its review was told when the chunk ended.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, select

from db.dialect import insert
from db.tables import JobCount

LABEL, READING = "label", "reading"


@dataclass(frozen=True, slots=True)
class Told:
    """How many rows got each label, and how many were read in each way."""

    labels: Counter[str] = field(default_factory=Counter)
    readings: Counter[str] = field(default_factory=Counter)

    def add(self, label: str, reading: str) -> None:
        """Count one row."""
        self.labels[label] += 1
        self.readings[reading] += 1

    def update(self, other: "Told") -> None:
        """Count the rows of another too."""
        self.labels.update(other.labels)
        self.readings.update(other.readings)


def add_counts(connection: Connection, told: Mapping[int, Told]) -> None:
    """Add to what jobs, by id, came to. In the transaction that ends the chunks, and after their results.

    Others that end chunks of the same jobs wait from here to this one's commit. In order of the key, so that two such
    transactions cannot wait for each other.
    """
    rows = sorted(
        (job_id, counted, value, count)
        for job_id, one in told.items()
        for counted, counts in ((LABEL, one.labels), (READING, one.readings))
        for value, count in counts.items()
    )
    if not rows:
        return
    new = insert(connection, JobCount)
    total = JobCount.count + new.excluded.count
    adding = new.on_conflict_do_update(index_elements=["job_id", "counted", "value"], set_={"count": total})
    connection.execute(adding, [dict(zip(("job_id", "counted", "value", "count"), row, strict=True)) for row in rows])


def counts_of(connection: Connection, job_id: int, counted: str) -> dict[str, int]:
    """How many rows of a job were told each value of what is counted, the most frequent first."""
    mine = select(JobCount.value, JobCount.count).where(JobCount.job_id == job_id, JobCount.counted == counted)
    return dict(connection.execute(mine.order_by(JobCount.count.desc(), JobCount.value)).all())
