"""Client and server of a connection, as the native side says them."""

from __future__ import annotations

import os

from ..native.abi import SCOPE_LOCAL_PATH


def split_ends(text: str) -> tuple[list[str], str]:
    """Split what the native side says of both ends.

    Args:
        text: hosts and ports with spaces between, the client's first; a Unix-domain socket has a path instead.

    Returns:
        The hosts and ports, of a client alone on a Unix-domain socket behind a proxy, and that socket's path, else ``""``.

    """
    words = text.split()
    if not words or not words[-1].startswith(SCOPE_LOCAL_PATH):
        return words, ""
    path = words.pop()[len(SCOPE_LOCAL_PATH) :]
    return words, os.fsdecode(bytes.fromhex(path))
