"""Who is at the other end of a Unix-domain socket."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from socketify.system.peer_user import peer_user


def test_the_user_of_a_connection(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as client:
        listening.bind(path)
        listening.listen()
        client.connect(path)
        accepted, _ = listening.accept()
        with accepted:
            assert peer_user(accepted) == peer_user(client) == os.geteuid()


def test_what_is_no_connection_is_told() -> None:
    closed = socket.socket(socket.AF_UNIX)
    closed.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        peer_user(closed)
