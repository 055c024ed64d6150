"""Redis over TLS, against a real server with a CA of the test's own: checked by default, and never unchecked."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from broker.app import make_app
from broker.doorbell import is_dry, ring
from broker.errors import InsecureRedis, RedisUnreachable
from broker.redis_server import check_redis
from broker.settings import BrokerSettings
from broker.tls import with_checks
from tests.broker.test_doorbell import Bell
from tests.certificates import Authority, make_authority
from tests.redis_servers import redis_on_a_port, tls_server

CHECKED = "ssl_cert_reqs=required&ssl_check_hostname=true"


@dataclass(frozen=True)
class Secured:
    """A server that is `localhost` by its certificate, and not 127.0.0.1."""

    port: int
    authority: Authority

    def settings(self, host: str = "localhost", **files: Path) -> BrokerSettings:
        return BrokerSettings(redis_url=f"rediss://:secret@{host}:{self.port}/0", **files)

    def trusting(self, **files: Path) -> BrokerSettings:
        return self.settings(redis_ca_file=self.authority.certificate, **files)


@pytest.fixture(params=["no", "yes"], ids=["anybody", "clients with a certificate"])
def secured(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Secured]:
    """A server that asks for a client's certificate, and one that does not."""
    authority = make_authority(tmp_path, "ours")
    shown = authority.sign("server", "DNS:localhost")
    options = {
        "port": 0,
        "tls_port": "{port}",
        "tls_cert_file": shown.certificate,
        "tls_key_file": shown.key,
        "tls_ca_cert_file": authority.certificate,
        "tls_auth_clients": request.param,
        "requirepass": "secret",
    }
    with redis_on_a_port(tls_server(), tmp_path, **options) as port:
        yield Secured(port, authority)


ANYBODY = pytest.mark.parametrize("secured", ["no"], indirect=True, ids=["anybody"])
WITH_CERTIFICATE = pytest.mark.parametrize("secured", ["yes"], indirect=True, ids=["clients with a certificate"])


@ANYBODY
def test_with_the_ca_s_certificate_it_answers_and_is_rung(secured: Secured) -> None:
    url = secured.trusting().url
    check_redis(url)
    app = make_app(url)
    assert ring(app, [Bell(1)]) == 1
    assert not is_dry(app, "score")


@WITH_CERTIFICATE
def test_a_server_may_ask_for_a_certificate_of_ours(secured: Secured) -> None:
    ours = secured.authority.sign("client", "DNS:worker.example")
    check_redis(secured.trusting(redis_cert_file=ours.certificate, redis_key_file=ours.key).url)
    with pytest.raises(RedisUnreachable):
        check_redis(secured.trusting().url)


@ANYBODY
def test_a_certificate_of_nobody_s_or_of_another_name_is_refused_in_a_line(secured: Secured, tmp_path: Path) -> None:
    other = make_authority(tmp_path, "theirs")
    refused = [
        ("self-signed certificate|local issuer certificate", secured.settings()),
        ("self-signed certificate|local issuer|signature", secured.settings(redis_ca_file=other.certificate)),
        ("IP address mismatch", secured.settings("127.0.0.1", redis_ca_file=secured.authority.certificate)),
    ]
    for reason, settings in refused:
        with pytest.raises(
            RedisUnreachable, match=rf"not trusted \(.*({reason}).*\); REVIEWMILL_REDIS_CA_FILE"
        ) as told:
            check_redis(settings.url)
        assert "\n" not in str(told.value)
        assert "secret" not in str(told.value)
        # What goes past that check is no less careful.
        assert ring(make_app(settings.url), [Bell(1)]) == 0
    app = make_app(secured.trusting().url)
    assert is_dry(app, "score")


@ANYBODY
def test_nothing_but_tls_is_spoken_there(secured: Secured) -> None:
    with pytest.raises(RedisUnreachable, match="does not answer"):
        check_redis(f"redis://:secret@localhost:{secured.port}/0")


@ANYBODY
def test_a_wrong_password_is_called_that(secured: Secured) -> None:
    for password, said in (("wrong", "does not know that user"), ("", "wants a user and a password")):
        url = f"rediss://:{password}@localhost:{secured.port}/0?ssl_ca_certs={secured.authority.certificate}"
        with pytest.raises(RedisUnreachable, match=said):
            check_redis(url)


def test_checks_are_written_into_the_url_once() -> None:
    checked = with_checks("rediss://me:pass%2Fword@far.example:6380/1")
    assert checked == f"rediss://me:pass%2Fword@far.example:6380/1?{CHECKED}"
    assert with_checks(checked) == checked
    assert make_app("rediss://far.example").conf.broker_url == f"rediss://far.example?{CHECKED}"
    assert with_checks("REDISS://far.example") == f"rediss://far.example?{CHECKED}"
    assert with_checks("redis://far.example/0") == "redis://far.example/0"
    assert with_checks("rediss://[") == "rediss://["


@pytest.mark.parametrize(
    "option", ["ssl_cert_reqs=none", "ssl_cert_reqs=CERT_NONE", "ssl_cert_reqs=optional", "ssl_check_hostname=false"]
)
def test_a_url_that_turns_a_check_off_is_refused(option: str) -> None:
    for use in (check_redis, make_app, lambda url: BrokerSettings(redis_url=url).url):
        with pytest.raises(InsecureRedis, match=f"{option}.*leave it out") as told:
            use(f"rediss://:secret@localhost:6380/0?{option}")
        assert "secret" not in str(told.value)


def test_files_that_would_be_for_nothing_are_refused(tmp_path: Path) -> None:
    pem = tmp_path / "ca.pem"
    with pytest.raises(InsecureRedis, match=r"REVIEWMILL_REDIS_CA_FILE is .*ca\.pem, which cannot be read: No such"):
        _ = BrokerSettings(redis_url="rediss://localhost", redis_ca_file=pem).url
    pem.touch()
    for url in ("redis://localhost", ""):
        with pytest.raises(InsecureRedis, match=r"REVIEWMILL_REDIS_CA_FILE is set, but .* is not rediss://"):
            _ = BrokerSettings(redis_url=url, redis_ca_file=pem).url


def test_options_of_tls_without_tls_are_refused() -> None:
    with pytest.raises(InsecureRedis, match=r"ssl_cert_reqs is set, but .* is not rediss://"):
        with_checks("redis://localhost?ssl_cert_reqs=none")


def test_a_setting_that_is_empty_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "REVIEWMILL_REDIS_CA_FILE", "")
    assert BrokerSettings().redis_ca_file is None
