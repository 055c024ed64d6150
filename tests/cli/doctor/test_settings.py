"""The doctor at settings: each is told with its source, wrong ones are findings, and secrets are never shown."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.checks.finding import Finding, Status
from cli.checks.masking import masked_url, masked_value
from cli.checks.patient import SETTINGS, Scope, admit, in_environment
from cli.checks.setting_rows import setting_rows
from cli.checks.settings import check_together
from tests.cli.doctor.conftest import Examine
from tests.conftest import Run
from tests.settings_classes import SETTINGS as ALL_SETTINGS


def only(found: list[Finding]) -> Finding:
    (one,) = found
    return one


def test_every_setting_is_told_once_with_its_value_and_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REVIEWMILL_CHUNK_SIZE", "500")
    monkeypatch.setenv("reviewmill_sweep_s", "7")
    rows = {row.name: row for row in setting_rows()}
    assert all(any(issubclass(kind, one) for kind in SETTINGS) for one in ALL_SETTINGS)
    assert set(rows) == {f"REVIEWMILL_{name.upper()}" for kind in ALL_SETTINGS for name in kind.model_fields}
    told = {name: (rows[name].value, rows[name].source) for name in rows}
    assert told["REVIEWMILL_CHUNK_SIZE"] == ("500", "environment")
    # As pydantic reads them, names may be written small.
    assert told["REVIEWMILL_SWEEP_S"] == ("7", "environment")
    assert told["REVIEWMILL_LEASE_S"] == ("60", "default")
    assert told["REVIEWMILL_REDIS_URL"] == (None, "default")
    assert all(row.meaning for row in rows.values())


def test_a_value_that_is_not_allowed_is_a_finding_and_stops_the_rest(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REVIEWMILL_LEASE_S", "1")
    monkeypatch.setenv("REVIEWMILL_ENGINE", "steam")
    done = run("doctor", "--json")
    checks = json.loads(done.stdout)["checks"]
    assert done.returncode == 1
    assert {(one["status"], one["what"].partition(":")[0]) for one in checks[:-1]} == {
        ("wrong", "REVIEWMILL_ENGINE is 'steam'"),
        ("wrong", "REVIEWMILL_LEASE_S is '1'"),
    }
    assert "greater than or equal to 2" in done.stdout
    assert "nothing else was looked at" in checks[-1]["what"]


def test_what_a_file_holds_is_told_as_the_files(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql://mill:planted@127.0.0.1:9/x")
    monkeypatch.setenv("REVIEWMILL_DATABASE_URL_FILE", str(tmp_path / "url"))
    rows = {row.name: row for row in setting_rows()}
    assert (rows["REVIEWMILL_DATABASE_URL"].value, rows["REVIEWMILL_DATABASE_URL"].source) == ("***", "file")
    assert rows["REVIEWMILL_DATABASE_URL_FILE"].value == str(tmp_path / "url")
    assert "planted" not in run("doctor").stdout
    monkeypatch.setenv("REVIEWMILL_DATABASE_URL", "postgresql://mill:planted@127.0.0.1:9/x")
    twice = run("doctor")
    assert (twice.returncode, "are both set; set one of them" in twice.stdout) == (1, True)
    assert "planted" not in twice.stdout
    monkeypatch.setenv("REVIEWMILL_DATABASE_URL_FILE", str(tmp_path / "nowhere"))
    assert "the file cannot be read" in run("doctor").stdout


def test_a_wrong_option_is_the_commands_fault(run: Run) -> None:
    assert run("doctor", "--quickly").returncode == 2


def test_a_variable_that_is_no_setting_is_told_with_what_was_meant(
    troubles: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REVIEWMILL_CHUNKSIZE", "500")
    monkeypatch.setenv("REVIEWMILL_JOB_ID", "7")
    one = only(troubles("settings"))
    assert (one.status, "REVIEWMILL_CHUNKSIZE is no setting" in one.what) == (Status.WARNING, True)
    assert "did you mean REVIEWMILL_CHUNK_SIZE?" in one.mend


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"DATABASE_URL": "postgresql://u@db.example/x"}, "the database is a server, but the Redis is this machine's"),
        ({"REDIS_URL": "redis://redis.example:6379/0"}, "the Redis is elsewhere, but the database is a file"),
        ({"SWEEP_S": "90"}, "more rarely than a lease"),
        ({"SEARCH_FROM": "100"}, "searched in vain"),
        ({"ENGINE": "null"}, "answers are made up"),
        ({"ENGINE": "tensorflow", "PRECISION": "int8"}, "does not compute in int8"),
        ({"ENGINE": "onnx", "PRECISION": "bfloat16"}, "does not compute in bfloat16"),
    ],
)
def test_settings_that_contradict_each_other_are_told(
    settings: dict[str, str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(f"REVIEWMILL_{name}", value)
    one = only(list(check_together(admit(Scope(), lambda _words: None))))
    assert told in one.what
    assert "REVIEWMILL_" in one.mend


def test_settings_that_go_together_are_well(troubles: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REVIEWMILL_REDIS_URL", "redis://localhost:6379/0")
    assert troubles("settings") == []


@pytest.mark.usefixtures("team_redis")
@pytest.mark.parametrize("how", [(), ("--json",), ("--quick",)])
def test_no_secret_is_ever_shown(
    run: Run, how: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, postgresql_url: str
) -> None:
    with_password = postgresql_url.replace("postgres:@", "postgres:planted-1@")
    assert "planted-1" in with_password
    monkeypatch.setenv("REVIEWMILL_DATABASE_URL", with_password)
    monkeypatch.setenv("REVIEWMILL_NOTIFY_SECRET", "planted-2")
    monkeypatch.setenv("HF_TOKEN", "planted-3")
    monkeypatch.setenv("PGPASSWORD", "planted-4")
    done = run("doctor", *how)
    for output in (done.stdout, done.stderr):
        assert "planted" not in output
    assert "***" in done.stdout
    # Nor where nothing answers, or the URLs are broken.
    monkeypatch.setenv("REVIEWMILL_DATABASE_URL", "postgresql://mill:planted-1@127.0.0.1:9/x?password=planted-5")
    monkeypatch.setenv("REVIEWMILL_REDIS_URL", "redis://:planted-6@127.0.0.1:9/0")
    away = run("doctor", *how)
    assert away.returncode == 1
    assert "planted" not in away.stdout + away.stderr
    monkeypatch.setenv("REVIEWMILL_DATABASE_URL", "postgresql//mill:planted-1@db/x")
    monkeypatch.setenv("REVIEWMILL_REDIS_URL", "redis://:planted/7@h?x@127.0.0.1:none/0")
    monkeypatch.setenv("REVIEWMILL_NOTIFY_SECRETS", "planted-8")
    broken = run("doctor", *how)
    assert broken.returncode == 1
    assert "planted" not in broken.stdout + broken.stderr


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://mill:pw@db.example:5432/reviews", "postgresql://mill:***@db.example:5432/reviews"),
        ("redis://:pw@h:6379/0", "redis://:***@h:6379/0"),
        ("rediss://pw@h/0?ssl_cert_reqs=required&password=pw", "rediss://***@h/0?ssl_cert_reqs=required&password=***"),
        ("redis://:p@w/o?r#d@h:6379/0", "redis://:***@h:6379/0"),
        ("sqlite:////srv/a@b/reviewmill.db", "sqlite:////srv/a@b/reviewmill.db"),
        ("no url", "***"),
    ],
)
def test_urls_are_shown_without_what_is_secret(url: str, shown: str) -> None:
    assert masked_url(url) == shown


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=8).filter(lambda word: word not in "redis://:***@h/0")
)
def test_no_password_is_ever_in_a_shown_url(password: str) -> None:
    assert password not in masked_url(f"redis://:{password}@h/0")


def test_secrets_are_known_by_their_names_too() -> None:
    assert masked_value("store_token", "planted") == "***"
    assert masked_value("home", "/srv/mill") == "/srv/mill"
    assert masked_value("store_token", "") == ""
    assert in_environment("REVIEWMILL_HOME") == os.environ["REVIEWMILL_HOME"]
