"""Settings of the broker room."""

import hashlib
import os
import tempfile
from pathlib import Path
from urllib.parse import quote, urlsplit

from platformdirs import user_data_dir
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from broker.errors import StackError
from broker.secret_files import SecretFile, either
from broker.tls import with_checks

#: The operating system's limit on the path of a unix socket is 108 bytes on Linux, 104 on macOS.
_LONGEST_SOCKET_PATH = 100


class BrokerSettings(BaseSettings):
    """Where the doorbell hangs."""

    model_config = SettingsConfigDict(env_prefix="REVIEWMILL_", env_ignore_empty=True)

    home: Path = Field(
        default_factory=lambda: Path(user_data_dir("reviewmill")),
        description="Folder of the default database, the models and the embedded stack.",
    )
    redis_url: str = Field(
        default="",
        description="redis://[USER:PASSWORD@]HOST:PORT/DB, rediss:// for TLS. Empty: the embedded stack.",
    )
    redis_ca_file: Path | None = Field(
        default=None,
        description="With rediss://: a PEM file of the CAs that vouch for Redis. Empty: those of the system.",
    )
    redis_cert_file: Path | None = Field(
        default=None,
        description="With rediss://: a PEM file of the certificate that Redis is shown, if it asks for one.",
    )
    redis_key_file: Path | None = Field(
        default=None, description="With rediss://: a PEM file of that certificate's private key, without a passphrase."
    )
    redis_url_file: SecretFile | None = Field(
        default=None, description="File that holds that URL, instead of REVIEWMILL_REDIS_URL."
    )
    redis_password_file: SecretFile | None = Field(
        default=None, description="File that holds the password of the Redis user, for a URL without one."
    )

    @property
    def is_embedded(self) -> bool:
        """Whether commands start a stack of their own."""
        return not (self.redis_url or self.redis_url_file)

    @property
    def run_dir(self) -> Path:
        """Sockets and locks of the embedded stack."""
        return self.home.absolute() / "run"

    @property
    def log_file(self) -> Path:
        """What the embedded stack logs."""
        return self.home.absolute() / "logs" / "stack.log"

    @property
    def socket(self) -> Path:
        """The embedded server's unix socket, in a private folder of a shorter name where the home's is too long."""
        path = self.run_dir / "redis.sock"
        if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH:
            return path
        digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"reviewmill-{os.getuid()}-{digest}" / "redis.sock"

    @property
    def url(self) -> str:
        """The Celery URL in force, with its password and with what TLS is to check.

        Raises StackError where two settings tell of the same, and InsecureRedis.
        """
        told = either("REVIEWMILL_REDIS_URL", self.redis_url, self.redis_url_file)
        if self.redis_password_file is not None:
            told = _with_password(told, self.redis_password_file)
        url = told or f"redis+socket://{self.socket}"
        return with_checks(url, self.redis_ca_file, self.redis_cert_file, self.redis_key_file)


def _with_password(url: str, password: SecretStr) -> str:
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    if parts.scheme not in ("redis", "rediss") or not host:
        raise StackError(
            "REVIEWMILL_REDIS_PASSWORD_FILE is set, so REVIEWMILL_REDIS_URL must be a server's URL; "
            "write redis://HOST:6379/0"
        )
    if ":" in user:
        raise StackError("REVIEWMILL_REDIS_PASSWORD_FILE is set, and the Redis URL has a password too")
    return parts._replace(netloc=f"{user}:{quote(password.get_secret_value(), safe='')}@{host}").geturl()
