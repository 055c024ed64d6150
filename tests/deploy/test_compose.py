"""What the compose file promises, asked of the file as Compose reads it."""

import hashlib
import os
import re
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from broker.settings import BrokerSettings
from db.settings import DatabaseSettings
from producer.settings import ProducerSettings
from tests.command_lines import check_command_line
from tests.deploy.conftest import ROOT, docker_compose
from worker.settings import WorkerSettings

Services = dict[str, dict[str, Any]]

PROFILES = {"gpu": {"worker-gpu"}, "flower": {"flower"}, "metrics": {"prometheus"}, "cli": {"cli", "owner"}}
ALWAYS = {"redis", "postgres", "migrate", "grants", "worker", "trainer", "beat"}
#: Services that run `reviewmill`; those of them that stay, and those that end.
WORKERS = {"worker", "worker-gpu", "trainer"}
OURS = WORKERS | {"beat", "migrate", "cli", "owner"}
ENDING = {"migrate", "grants", "cli", "owner"}


@pytest.mark.parametrize("profile", ["", *PROFILES])
def test_compose_reads_it_without_a_word(profile: str) -> None:
    read = docker_compose("--profile", profile, "config", "--services")
    assert (read.returncode, read.stderr) == (0, "")
    assert set(read.stdout.split()) == ALWAYS | PROFILES.get(profile, set())


@pytest.mark.parametrize("name", sorted(ALWAYS.union(*PROFILES.values())))
def test_every_service_is_locked_up(name: str, services: Services) -> None:
    one = services[name]
    assert one["read_only"] is True
    assert one["cap_drop"] == ["ALL"]
    assert "cap_add" not in one
    assert one["security_opt"] == ["no-new-privileges:true"]
    assert not one.get("privileged")
    assert "network_mode" not in one
    assert "/tmp" in one["tmpfs"]
    assert one["logging"]["options"].keys() == {"max-size", "max-file"}
    limits = one["deploy"]["resources"]["limits"]
    assert limits["pids"] > 0
    assert float(limits["cpus"]) > 0
    assert int(limits["memory"]) >= 256 << 20


def test_every_service_that_stays_is_started_again_and_has_its_health_checked(services: Services) -> None:
    for name in set(services) - ENDING:
        assert services[name]["restart"] == "unless-stopped", name
        # Those of ours that are not workers say how; of a worker the image does.
        assert name in WORKERS | {"flower"} or services[name]["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL"), name
    restarts = {name: services[name]["restart"] for name in ENDING}
    assert restarts == {"migrate": "on-failure:5", "grants": "on-failure:5", "cli": "no", "owner": "no"}
    for name in ENDING:
        assert services[name]["healthcheck"]["disable"] is True


def test_redis_forgets_nothing_and_lets_nobody_in_without_a_name(services: Services) -> None:
    command = services["redis"]["command"]
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert command[0] == "redis-server"
    assert options["--maxmemory-policy"] == "noeviction"
    assert options["--appendonly"] == "yes"
    assert options["--timeout"] == "0"
    assert options["--aclfile"] == "/run/secrets/redis_users"
    # It refuses to write before the container would be killed.
    assert options["--maxmemory"] == "384mb"
    assert int(services["redis"]["deploy"]["resources"]["limits"]["memory"]) > 384 << 20


def test_everything_waits_for_the_migration_which_waits_for_the_database(services: Services) -> None:
    for name in OURS - {"migrate"}:
        conditions = {needed: one["condition"] for needed, one in services[name]["depends_on"].items()}
        assert conditions == {"grants": "service_completed_successfully", "redis": "service_healthy"}, name
    assert services["grants"]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    assert services["migrate"]["command"] == ["db", "upgrade"]
    assert services["migrate"]["depends_on"]["postgres"]["condition"] == "service_healthy"


def test_every_command_is_one_with_options_that_there_are(services: Services) -> None:
    for name in OURS - {"cli", "owner"}:
        check_command_line(services[name]["command"])
    test = services["beat"]["healthcheck"]["test"]
    assert test[:2] == ["CMD", "reviewmill"]
    check_command_line(test[2:])


def test_scoring_and_training_have_workers_of_their_own(services: Services) -> None:
    queues = {name: services[name]["command"][-1] for name in WORKERS}
    assert queues == {"worker": "score", "worker-gpu": "score", "trainer": "train"}
    assert [services[name]["command"][2] for name in ("worker", "trainer", "worker-gpu")] == ["cpu", "cpu", "auto"]


def test_one_service_takes_all_gpus(services: Services) -> None:
    (device,) = services["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["count"], device["capabilities"]) == ("nvidia", -1, ["gpu"])
    assert services["worker-gpu"]["build"]["target"] == "gpu"
    assert all(services[name]["build"]["target"] == "cpu" for name in OURS - {"worker-gpu"})


def test_every_setting_is_one(services: Services) -> None:
    for name in OURS:
        assert set(services[name]["environment"]) <= known_settings(), name


def known_settings() -> set[str]:
    """Every REVIEWMILL_* variable that means something."""
    rooms = (BrokerSettings, DatabaseSettings, ProducerSettings, WorkerSettings)
    return {f"REVIEWMILL_{name.upper()}" for room in rooms for name in room.model_fields}


def test_no_secret_stands_in_an_environment_or_a_command(services: Services) -> None:
    for name, one in services.items():
        for variable, value in (one.get("environment") or {}).items():
            if re.search(r"PASSWORD|SECRET", variable):
                assert variable.endswith("_FILE"), (name, variable)
            if str(value).startswith("/run/secrets/"):
                assert Path(value).name in {secret["source"] for secret in one["secrets"]}, (name, variable)
            assert not re.search(r"://[^/]*:[^/]*@", str(value)), (name, variable)
        named = set(re.findall(r"/run/secrets/(\w+)", str(one.get("command")) + str(one.get("healthcheck"))))
        assert named <= {secret["source"] for secret in one.get("secrets") or []}, name


def test_each_has_the_passwords_of_its_own_users_and_no_other(services: Services) -> None:
    for name in OURS | {"flower"}:
        user = "worker" if name in WORKERS else "flower" if name == "flower" else "producer"
        passwords = {one["source"] for one in services[name]["secrets"] if one["source"].startswith("redis_")}
        assert passwords == {f"redis_{user}_password"}, name
        environment = services[name]["environment"]
        assert environment.get("REDIS_USER", f"{user}@redis") in (user, f"{user}@redis")
        assert f"//{user}@redis:6379/" in environment.get("REVIEWMILL_REDIS_URL", f"//{user}@redis:6379/")


def test_each_user_of_the_database_reads_the_file_that_the_database_reads(services: Services) -> None:
    users = {
        "migrate": "owner",
        "owner": "owner",
        **dict.fromkeys(WORKERS, "worker"),
        "beat": "producer",
        "cli": "producer",
    }
    assert users.keys() == OURS
    at_the_server = {one["source"] for one in services["postgres"]["secrets"]}
    for name, user in users.items():
        environment, secret = services[name]["environment"], f"postgres_{user}_password"
        assert f"//reviewmill_{user}@postgres:5432/reviewmill" in environment["REVIEWMILL_DATABASE_URL"]
        assert environment["REVIEWMILL_DATABASE_PASSWORD_FILE"] == f"/run/secrets/{secret}"
        held = {one["source"] for one in services[name]["secrets"] if one["source"].startswith("postgres_")}
        assert held == {secret} <= at_the_server, name


def test_no_port_is_open_to_other_machines(services: Services) -> None:
    open_ = {
        name: [(port["host_ip"], port["published"]) for port in one["ports"]]
        for name, one in services.items()
        if "ports" in one
    }
    assert open_ == {"flower": [("127.0.0.1", "5555")], "prometheus": [("127.0.0.1", "9090")]}


def test_what_must_last_is_in_named_volumes(compose: dict[str, Any], services: Services) -> None:
    mounts = {
        name: {(one["type"], one["source"], one["target"]) for one in services[name].get("volumes", [])}
        for name in services
    }
    assert mounts["redis"] == {("volume", "redis", "/data")}
    assert mounts["postgres"] == {("volume", "postgres", "/var/lib/postgresql")}
    for name in OURS:
        assert mounts[name] == {("volume", "home", services[name]["environment"]["REVIEWMILL_HOME"])}
    assert set(compose["volumes"]) == {source for found in mounts.values() for _, source, _ in found}


def test_the_secrets_are_those_that_the_script_writes(compose: dict[str, Any], secrets: Path) -> None:
    named = {Path(one["file"]) for one in compose["secrets"].values()}
    assert {path.parent for path in named} == {ROOT / "secrets"}
    assert {path.name for path in named} <= {path.name for path in secrets.iterdir()}
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets.iterdir()} == {0o444}
    passwords = {path.name: path.read_text() for path in secrets.iterdir() if path.suffix != ".acl"}
    assert len(set(passwords.values())) == len(passwords) == 11
    assert all(len(one) == 32 for one in passwords.values())
    users = (secrets / "redis_users.acl").read_text()
    for user in ("admin", "producer", "worker", "flower"):
        hashed = hashlib.sha256(passwords[f"redis_{user}_password"].encode()).hexdigest()
        assert f"user {user} reset on #{hashed} " in users
    assert not re.search("_SHA256|^#", users, re.MULTILINE)


def test_scripts_that_others_run_can_be_run() -> None:
    # One that cannot is read into PostgreSQL's own start, and its `set -u` with it.
    assert os.access(ROOT / "deploy" / "postgres" / "users.sh", os.X_OK)


def test_the_script_keeps_what_is_there(secrets: Path, tmp_path: Path) -> None:
    (tmp_path / "postgres_password").write_text("chosen by hand")
    for _ in range(2):
        subprocess.run(["sh", ROOT / "deploy" / "make-secrets.sh", tmp_path], check=True, capture_output=True)
        assert (tmp_path / "postgres_password").read_text() == "chosen by hand"
        kept = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert kept.keys() == {path.name for path in secrets.iterdir()}


def test_secrets_are_in_no_commit_and_in_no_image() -> None:
    assert "secrets/" in (ROOT / ".gitignore").read_text().splitlines()
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    # Everything is left out but what is named.
    assert next(line for line in ignored if line and line[0] != "#") == "*"
    assert not [line for line in ignored if line.startswith("!") and "secret" in line]


def test_prometheus_asks_workers_and_the_beat_on_their_port(services: Services) -> None:
    asked = yaml.safe_load((ROOT / "deploy" / "prometheus.yml").read_text())
    (job,) = asked["scrape_configs"]
    mounted = {Path(one["target"]).name for one in services["prometheus"]["configs"]}
    assert set(asked["rule_files"]) | {"prometheus.yml"} == mounted
    (found,) = job["dns_sd_configs"]
    assert set(found["names"]) == WORKERS | {"beat"}
    for name in found["names"]:
        environment = services[name]["environment"]
        assert (environment["REVIEWMILL_METRICS_PORT"], environment["REVIEWMILL_METRICS_ADDRESS"]) == (
            str(found["port"]),
            "0.0.0.0",
        )
