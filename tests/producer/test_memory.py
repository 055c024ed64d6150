"""What enqueuing needs of memory grows by a number a row, not by its text, its id or the reason that it is refused."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.samples import CHECKPOINTS

SMALL, LARGE = 20_000, 320_000
#: 8 for the review's id, and as much for what grows in steps. A list of numbers would take 40, one of hashes 90.
MOST_BYTES_A_ROW = 16
#: What SQLite keeps of the file, and fills with the more rows only; see db.database.
CACHE_BYTES = 16_000 * 1024

#: Enqueues a csv file as `score` does and prints the most memory that the process has held at once, in kB.
ENQUEUE = """
import sys
from db.schema import open_database
from producer.checkpoints import find_or_add_model
from producer.enqueue import Doorway
from producer.rows import Columns
from producer.settings import ProducerSettings
from producer.sources import open_source

database = open_database()
model = find_or_add_model(database, sys.argv[2])
columns = Columns("body", id="id", keep=("shop",))
Doorway(database, None, ProducerSettings()).enqueue_scoring(open_source(sys.argv[1]), columns, model)
# Not getrusage, which counts the process before this one too.
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def most_memory(path: Path, rows: int, text: str) -> int:
    """The most bytes that enqueuing so many rows takes. A text that is no review has its reason name the number."""
    with path.open("w", encoding="utf-8") as file:
        file.write("id,body,shop\n")
        rest = "y" * 250
        file.writelines(f"{number} {rest},{text.format(number=number)},north\n" for number in range(rows))
    home = path.with_suffix("")
    command = [sys.executable, "-c", ENQUEUE, str(path), str(CHECKPOINTS / "bert")]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "REVIEWMILL_HOME": str(home)}
    )
    return int(done.stdout) * 1024


@pytest.mark.parametrize("text", ["review {number}", "a,b"], ids=["good", "rotten"])
def test_memory_stays_flat(tmp_path: Path, text: str) -> None:
    small, large = (most_memory(tmp_path / f"{rows}.csv", rows, text) for rows in (SMALL, LARGE))
    assert large - small < CACHE_BYTES + MOST_BYTES_A_ROW * (LARGE - SMALL), (small, large)
