"""Redis over TLS: `rediss://` is only ever used with the server's certificate and name checked.

Left to itself, the client below checks neither where a URL does not say so.
"""

from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from broker.errors import InsecureRedis

_CHECKED = {"ssl_cert_reqs": ("required", "CERT_REQUIRED"), "ssl_check_hostname": ("true", "True")}
#: What each file is to the client, and the setting that names it.
_FILES = {
    "ssl_ca_certs": "REVIEWMILL_REDIS_CA_FILE",
    "ssl_certfile": "REVIEWMILL_REDIS_CERT_FILE",
    "ssl_keyfile": "REVIEWMILL_REDIS_KEY_FILE",
}


def with_checks(url: str, ca: Path | None = None, certificate: Path | None = None, key: Path | None = None) -> str:
    """The URL with the checks that the client is to make written into it; one that is not `rediss://` is left as it is.

    `ca` holds the certificates of who may vouch for the server, instead of the system's; `certificate` and `key` are
    what this side shows. Raises InsecureRedis for a URL that turns a check off, for files without TLS, and for a file
    that is not there.
    """
    files = {name: file for name, file in zip(_FILES, (ca, certificate, key), strict=True) if file is not None}
    try:
        parts = urlsplit(url)
    except ValueError:
        # Where it is used it is told what is wrong with it.
        return url
    asked = dict(parse_qsl(parts.query))
    if parts.scheme != "rediss":
        _refuse_without_tls(asked, files)
        return url
    for option, accepted in _CHECKED.items():
        if asked.get(option, accepted[0]) not in accepted:
            raise InsecureRedis(
                f"REVIEWMILL_REDIS_URL has {option}={asked[option]}, so that anybody could pass for Redis; leave it "
                "out, and name a private CA's certificate in REVIEWMILL_REDIS_CA_FILE"
            )
    for name, file in files.items():
        _look_at(name, file)
    checks = {option: accepted[0] for option, accepted in _CHECKED.items()}
    query = {**asked, **checks, **{name: str(file.absolute()) for name, file in files.items()}}
    return urlunsplit(parts._replace(query=urlencode(query)))


def _refuse_without_tls(asked: dict[str, str], files: dict[str, Path]) -> None:
    named = [_FILES[name] for name in files] + [option for option in asked if option.startswith("ssl_")]
    if named:
        raise InsecureRedis(f"{named[0]} is set, but REVIEWMILL_REDIS_URL is not rediss://, so there is no TLS")


def _look_at(name: str, file: Path) -> None:
    try:
        file.open("rb").close()
    except OSError as error:
        raise InsecureRedis(f"{_FILES[name]} is {file}, which cannot be read: {error.strerror}") from None
