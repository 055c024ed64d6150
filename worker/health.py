"""Whether the workers of this machine work: `python -m worker.health`, for whoever looks after processes.

It asks SQL for their signs of life, which a worker writes from its own loop every few seconds. So it tells of a worker
that hangs, or has lost its database, too, and not only of one that is gone.
"""

import socket
import sys

from db.errors import DatabaseError
from db.schema import open_database
from db.workers import DEAD_AFTER_S, live_workers


def main() -> int:
    """Say in one line how many work, and return 0; or 1 if none does, or nobody can tell."""
    host = socket.gethostname()
    try:
        database = open_database()
        with database.read() as connection:
            alive = [worker for worker in live_workers(connection) if worker.host == host]
    except DatabaseError as error:
        sys.stderr.write(f"Error: {error}\n")
        return 1
    if not alive:
        sys.stderr.write(f"Error: no worker of {host} gave a sign of life in the last {DEAD_AFTER_S:.0f} s\n")
        return 1
    sys.stdout.write(f"{', '.join(worker.device for worker in alive)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
