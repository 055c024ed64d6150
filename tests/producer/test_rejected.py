"""Rows that were refused come back as they went in, from memory or from a file."""

import tracemalloc

from db.jobs import RejectedRow
from producer.rejected import RejectedRows

ODD = [
    RejectedRow(1, None, "no text"),
    RejectedRow(2, "it's \N{GRINNING FACE}\n", "half \ud83d a pair\u2028"),
    RejectedRow(3, "", ""),
]


def test_rows_come_back_in_order_as_often_as_they_are_asked_for() -> None:
    rejected = RejectedRows()
    assert (len(rejected), [*rejected]) == (0, [])
    rejected.add(ODD[:1])
    rejected.add(ODD[1:])
    assert len(rejected) == 3
    assert [*rejected] == [*rejected] == ODD


def test_rows_may_be_added_while_others_are_read() -> None:
    rejected = RejectedRows()
    rejected.add(RejectedRow(number, None, "x" * 1000) for number in range(1000))
    reading = iter(rejected)
    assert next(reading).row == 0
    rejected.add([RejectedRow(1000, None, "last")])
    assert [row.row for row in reading] == [*range(1, 1001)]
    assert next(iter(rejected)).row == 0


def test_a_rotten_source_takes_no_memory() -> None:
    """200,000 of them, which would be some 60 MB as tuples with a reason each."""
    tracemalloc.start()
    rejected = RejectedRows()
    rejected.add(RejectedRow(number, f"id {number}", f"the text has {number:,} chars") for number in range(200_000))
    count = sum(1 for _ in rejected)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 200_000
    assert most < 8 * 2**20
