"""Client and server of a connection, as the native side says them."""

from __future__ import annotations

import os

#: Before the path of a Unix-domain socket, in hexadecimal digits: the last word.
_LOCAL_PATH = "unix:"


def split_ends(text: str) -> tuple[list[str], str]:
    """Split what the native side says of both ends.

    Args:
        text: hosts and ports with spaces between, the client's first; a Unix-domain socket has a path instead.

    Returns:
        The hosts and ports, of a client alone on a Unix-domain socket behind a proxy, and that socket's path, else ``""``.

    """
    words = text.split()
    if not words or not words[-1].startswith(_LOCAL_PATH):
        return words, ""
    path = words.pop()[len(_LOCAL_PATH) :]
    return words, os.fsdecode(bytes.fromhex(path))
