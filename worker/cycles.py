"""The search for garbage that refers to itself in cycles, which Python begins again for every so many new objects."""

import gc

#: New objects after which a search begins: some for every review of a chunk, of which none is in a cycle.
_NEW_OBJECTS = 20_000


def settle() -> None:
    """Search everything once, and leave what there is now out of all later searches, until this is called again.

    The program and its models stay for as long as the process does, and are most of what it holds: to go through them
    again for every few rows takes a quarter of the time that is spent beside inferring.
    """
    # What was left out before and is a model of which nobody knows any longer is found, too.
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])
