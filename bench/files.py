"""The files that servers need: a certificate, and what they serve."""

from __future__ import annotations

from pathlib import Path

from http2 import DOWNLOAD_BYTES
from scenarios import GIGABYTE, SMALL_FILE


def make_files(directory: Path) -> None:
    """Makes server.pem, server.key, and static/small.bin, static/big.bin and static/hundred.bin; the last two are sparse."""
    import trustme  # noqa: PLC0415 - tables can be read without it

    leaf = trustme.CA().issue_cert("127.0.0.1", "localhost", key_type=trustme.KeyType.ECDSA)
    leaf.cert_chain_pems[0].write_to_path(str(directory / "server.pem"))
    leaf.private_key_pem.write_to_path(str(directory / "server.key"))
    static = directory / "static"
    static.mkdir()
    (static / "small.bin").write_bytes(b"x" * SMALL_FILE)
    for name, size in {"big.bin": GIGABYTE, "hundred.bin": DOWNLOAD_BYTES}.items():
        with (static / name).open("wb") as file:
            file.truncate(size)
