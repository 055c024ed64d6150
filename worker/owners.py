"""Under which name a process holds what it has leased."""

import os
import socket


def owner_of(pid: int) -> str:
    """The name of a process of this machine among those of all machines."""
    return f"{socket.gethostname()}:{pid}"


def this_owner() -> str:
    """The name of this process."""
    return owner_of(os.getpid())
