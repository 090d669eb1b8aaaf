"""Bodies of requests to the WSGI server while the machine has not much left."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from typing import Any

import pytest
from wsgi_server import TEXT, both, served

from socketify.interfaces import wsgi_input


def digest(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", TEXT)
    return [hashlib.sha256(environ["wsgi.input"].read()).hexdigest().encode()]


@both
@pytest.mark.parametrize("reason", [errno.EMFILE, errno.ENFILE])
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
