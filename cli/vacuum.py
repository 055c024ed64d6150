"""`reviewmill vacuum`: give room back to the disk."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.filesize import decimal

from cli.deletion import counting, tell_how_to_go_on, yes_option
from cli.output import counted, json_option, print_facts, print_json, say, tell
from db.database import Database
from db.schema import open_database
from db.vacuum import Room, room_of, vacuum


@click.command("vacuum")
@click.option("--full", is_flag=True, help="Rewrite the whole database; those who write wait for it.")
@yes_option
@json_option
def command(full: bool, yes: bool, as_json: bool) -> None:
    """Give the room of deleted rows, and of files that nothing uses, back to the disk.

    Workers go on beside it, unless --full is given. Without --yes it only tells how much there is.
    """
    from worker.leftovers import find_leftovers, remove, size_of
    from worker.settings import WorkerSettings

    database = open_database()
    before, files = room_of(database), find_leftovers(database, WorkerSettings())
    sizes = {path: size_of(path) for path in files}
    if not yes:
        _told(database, before, sizes, full, as_json)
        return
    if full and before.at_work:
        tell(f"Worked on now: {counted(before.at_work, 'chunk')}. What is written for them waits until this is done.")
    with counting("Vacuuming") as count:
        after = vacuum(database, full=full, progress=count)
        remove(files)
    freed = before.bytes - after.bytes
    if as_json:
        facts = {"bytes_before": before.bytes, "bytes_after": after.bytes, "bytes_freed": freed}
        print_json({"dry_run": False, **facts, **_files_as_json(sizes)})
        return
    say(f"The database took {decimal(before.bytes)} and takes {decimal(after.bytes)}: {decimal(max(0, freed))} freed.")
    if sizes:
        say(f"{counted(len(sizes), 'file or folder')} that nothing uses: {decimal(sum(sizes.values()))} freed.")
    if after.free and not after.gives_back:
        _tell_of_full(after)


def _told(database: Database, room: Room, sizes: dict[Path, int], full: bool, as_json: bool) -> None:
    if as_json:
        print_json({"dry_run": True, **asdict(room), **_files_as_json(sizes)})
        return
    free = None if room.free is None else decimal(room.free)
    print_facts({"database": database.place, "takes": decimal(room.bytes), "of that free": free})
    for path, size in sizes.items():
        print_facts({"not used": f"{path} ({decimal(size)})"})
    if full:
        tell("The whole database is rewritten; those who write wait for it, and it takes as much room once more.")
    elif not room.gives_back:
        _tell_of_full(room)
    tell_how_to_go_on("changed")


def _tell_of_full(room: Room) -> None:
    tell(
        f"{decimal(room.free or 0)} inside the file are free for new rows; only a rewrite gives them back to the disk, "
        "and those who write wait for it: reviewmill vacuum --full --yes"
    )


def _files_as_json(sizes: dict[Path, int]) -> dict[str, Any]:
    return {"files": [str(path) for path in sizes], "files_bytes": sum(sizes.values())}
