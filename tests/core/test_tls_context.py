"""The settings of an ssl.SSLContext are those of an app."""

from __future__ import annotations

import gc
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

import pytest
from tls_files import Files

from socketify import App, AppOptions


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def context() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)


def hello(app: App) -> None:
    app.get("/", lambda res, _req: res.end("hello"))


def shake(port: int, client: ssl.SSLContext) -> Optional[tuple[str, str]]:
    """Give version and cipher of a request that is answered; None for one that is refused."""
    try:
        plain = socket.create_connection(("127.0.0.1", port), 10)
        with plain, client.wrap_socket(plain, server_hostname="localhost") as shaken:
            shaken.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            # With TLS 1.3 a client learns only now that its certificate is refused.
            if not shaken.recv(1000).startswith(b"HTTP/1.1 200 "):
                return None
            cipher = shaken.cipher()
            assert cipher is not None
            return str(shaken.version()), cipher[0]
    except (ssl.SSLError, ConnectionResetError):
        return None


def only(files: Files, version: ssl.TLSVersion) -> ssl.SSLContext:
    client = files.client()
    client.minimum_version = client.maximum_version = version
    return client


def versions(files: Files, port: int) -> list[bool]:
    return [shake(port, only(files, each)) is not None for each in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)]


@pytest.mark.filterwarnings("ignore:ssl.OP_NO_:DeprecationWarning")
def test_versions_and_ciphers(serve: Callable[..., Any], files: Files, context: ssl.SSLContext) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-AES256-GCM-SHA384")
    given = files.issue("server")
    server = serve(hello, options=AppOptions.from_context(context, **given))
    assert shake(server.port, files.client()) == ("TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384")
    context.maximum_version = ssl.TLSVersion.MAXIMUM_SUPPORTED
    context.options |= ssl.OP_NO_TLSv1_2
    assert versions(files, serve(hello, options=AppOptions.from_context(context, **given)).port) == [False, True]
    # What is said beside the context goes first.
    server = serve(hello, options=AppOptions.from_context(context, **given, minimum_version="1.2"))
    assert versions(files, server.port) == [True, True]


def test_a_context_as_it_is_made(serve: Callable[..., Any], files: Files, context: ssl.SSLContext) -> None:
    for made in (context, ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)):
        server = serve(hello, options=AppOptions.from_context(made, **files.issue("server")))
        assert versions(files, server.port) == [True, True]


@pytest.mark.parametrize("mode", [ssl.CERT_REQUIRED, ssl.CERT_OPTIONAL])
def test_certificates_of_clients(
    serve: Callable[..., Any], files: Files, context: ssl.SSLContext, mode: ssl.VerifyMode, tmp_path: Path
) -> None:
    context.verify_mode = mode
    with pytest.raises(ValueError, match="has no CA loaded"):
        AppOptions.from_context(context, **files.issue("server"))
    context.load_verify_locations(files.ca_file)
    server = serve(hello, options=AppOptions.from_context(context, **files.issue("server")))
    del context
    gc.collect()
    # The CA is read again, too.
    server.app.reload_certificates()
    assert shake(server.port, files.client(**files.issue("friend", "a@example.org"))) is not None
    assert (shake(server.port, files.client()) is not None) == (mode == ssl.CERT_OPTIONAL)
    stranger = Files(tmp_path).issue("stranger", "a@example.org")
    assert shake(server.port, files.client(**stranger)) is None


@pytest.mark.filterwarnings("ignore:ssl.OP_NO_:DeprecationWarning")
def test_what_cannot_be_had_is_refused(files: Files, context: ssl.SSLContext) -> None:
    given = files.issue("server")
    with pytest.raises(TypeError, match=r"context must be an ssl.SSLContext, not str"):
        AppOptions.from_context("context", **given)  # type: ignore[arg-type]
    context.sni_callback = lambda *_: None
    with pytest.raises(ValueError, match="sni_callback is not called"):
        AppOptions.from_context(context, **given)
    context.sni_callback = None
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    with pytest.raises(ValueError, match="crl_file_name is needed"):
        AppOptions.from_context(context, **given)
    context.verify_mode = ssl.CERT_NONE
    context.options |= ssl.OP_NO_TLSv1_2 | ssl.OP_NO_TLSv1_3
    with pytest.raises(ValueError, match=r"neither TLS 1.2 nor TLS 1.3"):
        AppOptions.from_context(context, **given)
