"""Certificate authorities of a test's own, and what they vouch for. Made by openssl, which every Debian has."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Signed:
    """A certificate and its private key, in PEM."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class Authority(Signed):
    """One that signs others."""

    def sign(self, name: str, alternatives: str) -> Signed:
        """A certificate for those alternative names, such as `DNS:localhost,IP:127.0.0.1`."""
        signed = Signed(self.certificate.with_name(f"{name}.crt"), self.key.with_name(f"{name}.key"))
        _openssl(
            *("req", "-x509", "-subj", f"/CN={name}", "-addext", f"subjectAltName={alternatives}"),
            *("-addext", "basicConstraints=critical,CA:FALSE", "-CA", self.certificate, "-CAkey", self.key),
            *("-keyout", signed.key, "-out", signed.certificate),
        )
        return signed


def make_authority(folder: Path, name: str) -> Authority:
    """A new authority that nobody trusts yet."""
    made = Authority(folder / f"{name}.crt", folder / f"{name}.key")
    _openssl("req", "-x509", "-subj", f"/CN={name}", "-keyout", made.key, "-out", made.certificate)
    return made


def _openssl(*arguments: object) -> None:
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    command = ["openssl", *map(str, arguments), *key]
    subprocess.run(command, check=True, capture_output=True)
