"""The files that servers need: a certificate, and what they serve."""

from __future__ import annotations

from pathlib import Path

from scenarios import GIGABYTE, SMALL_FILE


def make_files(directory: Path) -> None:
    """Makes server.pem, server.key, and static/small.bin and static/big.bin, which is sparse."""
    import trustme  # noqa: PLC0415 - tables can be read without it

    leaf = trustme.CA().issue_cert("127.0.0.1", "localhost", key_type=trustme.KeyType.ECDSA)
    leaf.cert_chain_pems[0].write_to_path(str(directory / "server.pem"))
    leaf.private_key_pem.write_to_path(str(directory / "server.key"))
    static = directory / "static"
    static.mkdir()
    (static / "small.bin").write_bytes(b"x" * SMALL_FILE)
    with (static / "big.bin").open("wb") as file:
        file.truncate(GIGABYTE)
