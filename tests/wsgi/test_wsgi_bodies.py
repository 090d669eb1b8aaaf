"""Bodies of requests to the WSGI server while the machine has not much left."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import resource
import tempfile
from typing import Any

import pytest
from wsgi_server import TEXT, both, served

from socketify.wsgi import input as wsgi_input


def digest(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", TEXT)
    return [hashlib.sha256(environ["wsgi.input"].read()).hexdigest().encode()]


@both
@pytest.mark.parametrize("reason", [errno.EMFILE, errno.ENFILE, errno.ENOENT])
def test_upload_stays_in_memory_while_no_descriptors_are_left(
    threads: int, reason: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    data = os.urandom(5_000_000)
    make = tempfile.TemporaryFile
    refusals: list[int] = []

    def refuse() -> Any:
        if len(refusals) < 2:
            refusals.append(reason)
            raise OSError(reason, os.strerror(reason))
        return make()

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    monkeypatch.setattr(wsgi_input, "MEMORY_WITHOUT_FILES_MAX", 4_000_000)
    with served(digest, threads=threads) as one:
        answer = one.ask(method="POST", body=data)
        assert (answer.status, answer.body.decode()) == (200, hashlib.sha256(data).hexdigest())
        assert len(refusals) == 2
        assert not caplog.records
        # Memory is no substitute for every size.
        monkeypatch.setattr(wsgi_input, "MEMORY_WITHOUT_FILES_MAX", 2_000_000)
        refusals.clear()
        assert one.ask(method="POST", body=data).status == 500
        assert one.ask(method="POST", body=b"small").status == 200


@both
def test_upload_where_all_descriptors_are_taken(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = os.urandom(3_000_000)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    with served(digest, threads=threads) as one, one.connect() as connection:
        # Which directory files belong to is found out by making one.
        monkeypatch.setattr(tempfile, "tempdir", None)
        head = b"POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(data)
        # Accepted once it has an answer.
        connection.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        connection.sendall(head + data[:1])
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(limits[0], 1024), limits[1]))
        try:
            with contextlib.suppress(OSError):
                while True:
                    taken.append(os.open(os.devnull, os.O_RDONLY))
            connection.sendall(data[1:])
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        finally:
            for descriptor in taken:
                os.close(descriptor)
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(hashlib.sha256(data).hexdigest().encode())


@both
def test_body_with_a_hole_is_never_handed_on(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    add = wsgi_input.BodyBuffer.add
    failures: list[int] = []

    def fail_once(self: wsgi_input.BodyBuffer, chunk: bytes) -> None:
        if not failures and self.size:
            failures.append(self.size)
            raise MemoryError
        add(self, chunk)

    monkeypatch.setattr(wsgi_input.BodyBuffer, "add", fail_once)
    with served(digest, threads=threads) as one:
        assert one.ask(method="POST", body=b"x" * 3_000_000).status == 500
        assert failures
        assert one.ask(method="POST", body=b"x" * 3_000_000).status == 200
