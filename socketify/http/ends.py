"""The addresses of client and server of a connection, from the text in which the native side returns them."""

from __future__ import annotations

import os

from ..native.abi import SCOPE_LOCAL_PATH


def split_ends(text: str) -> tuple[list[str], str]:
    """Split the native side's text about both ends.

    Args:
        text: hosts and ports with spaces between, the client's first; a Unix-domain socket has a path instead.

    Returns:
        The hosts and ports (only the client's behind a proxy on a Unix-domain socket), and that socket's path, else ``""``.

    """
    words = text.split()
    if not words or not words[-1].startswith(SCOPE_LOCAL_PATH):
        return words, ""
    path = words.pop()[len(SCOPE_LOCAL_PATH) :]
    return words, os.fsdecode(bytes.fromhex(path))
