"""Certificates for tests, made by openssl: authorities, and what they sign."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_KEY: Final = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


@dataclass(frozen=True, slots=True)
class Certificate:
    """PEM files of a certificate and its key."""

    pem: Path
    key: Path


def authority(folder: Path, name: str) -> Certificate:
    """One that signs itself."""
    made = Certificate(folder / f"{name}.pem", folder / f"{name}.key")
    subject = ("-subj", f"/CN={name}", "-days", "2")
    _openssl("req", "-x509", *_KEY, "-keyout", str(made.key), "-out", str(made.pem), *subject)
    return made


def signed(by: Certificate, name: str, host: str, days: int = 2) -> Certificate:
    """One for a host, such as `IP:127.0.0.1` or `DNS:localhost`; with less than no days it has expired."""
    made = Certificate(by.pem.with_name(f"{name}.pem"), by.pem.with_name(f"{name}.key"))
    request, extension = by.pem.with_name(f"{name}.csr"), by.pem.with_name(f"{name}.ext")
    extension.write_text(f"subjectAltName={host}\n")
    _openssl("req", *_KEY, "-keyout", str(made.key), "-out", str(request), "-subj", f"/CN={name}")
    authority_files = ("-CA", str(by.pem), "-CAkey", str(by.key), "-CAcreateserial")
    times = ("-days", str(days), "-extfile", str(extension))
    _openssl("x509", "-req", "-in", str(request), *authority_files, "-out", str(made.pem), *times)
    return made


def _openssl(*words: str) -> None:
    done = subprocess.run(["openssl", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"openssl {' '.join(words)}: {done.stderr}")
