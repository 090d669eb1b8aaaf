"""The files that servers need: a certificate, and what they serve."""

from __future__ import annotations

import subprocess
from pathlib import Path

from http2 import DOWNLOAD_BYTES
from scenarios import GIGABYTE, SMALL_FILE


def make_certificate(directory: Path) -> list[str]:
    """Makes server.pem and server.key by the program openssl; returns their paths."""
    made = [str(directory / "server.pem"), str(directory / "server.key")]
    kind = "-x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj /CN=localhost"
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    command = ["openssl", "req", *kind.split(), "-addext", names, "-out", made[0], "-keyout", made[1]]
    subprocess.run(command, check=True, capture_output=True)
    return made


def make_files(directory: Path) -> None:
    """Makes a certificate, and static/small.bin, static/big.bin and static/hundred.bin; the last two are sparse."""
    make_certificate(directory)
    static = directory / "static"
    static.mkdir()
    (static / "small.bin").write_bytes(b"x" * SMALL_FILE)
    for name, size in {"big.bin": GIGABYTE, "hundred.bin": DOWNLOAD_BYTES}.items():
        with (static / name).open("wb") as file:
            file.truncate(size)
