"""Nothing weak by default: what a scanner finds, and memory over many handshakes."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tls_files import Files

PROGRAM = """
import sys
from socketify import App, AppOptions
app = App(AppOptions(cert_file_name=sys.argv[1], key_file_name=sys.argv[2]))
app.get("/", lambda res, req: res.end("hello"))
app.listen(0, lambda config: print(config.port, flush=True))
app.run()
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("tls"))


def test_a_scanner_finds_nothing_weak(serve: Any, files: Files) -> None:
    sslyze = pytest.importorskip("sslyze")
    server = serve(lambda app: app.get("/", lambda res, _req: res.end("hello")), options=files.options())
    scanner = sslyze.Scanner()
    commands = set(sslyze.ScanCommand) - {sslyze.ScanCommand.CERTIFICATE_INFO}
    location = sslyze.ServerNetworkLocation("localhost", server.port, ip_address="127.0.0.1")
    scanner.queue_scans([sslyze.ServerScanRequest(location, scan_commands=commands)])
    found = next(iter(scanner.get_results())).scan_result
    assert found is not None
    for command in commands:
        attempt = getattr(found, command.value)
        assert attempt.result is not None, (command, attempt.error_trace)
    for version in ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1"):
        assert not getattr(found, f"{version}_cipher_suites").result.accepted_cipher_suites
    old = found.tls_1_2_cipher_suites.result.accepted_cipher_suites
    assert old
    for each in old:
        assert each.cipher_suite.name.startswith("TLS_ECDHE_")
        assert "_GCM_" in each.cipher_suite.name or "CHACHA20" in each.cipher_suite.name
    assert len(found.tls_1_3_cipher_suites.result.accepted_cipher_suites) == 3
    curves = {each.name for each in found.elliptic_curves.result.supported_curves}
    assert {"X25519", "secp256r1", "secp384r1"} == curves
    assert not found.tls_compression.result.supports_compression
    assert not found.heartbleed.result.is_vulnerable_to_heartbleed
    assert not found.openssl_ccs_injection.result.is_vulnerable_to_ccs_injection
    assert not found.session_renegotiation.result.is_vulnerable_to_client_renegotiation_dos
    assert found.session_renegotiation.result.supports_secure_renegotiation
    assert found.robot.result.robot_result.name.startswith("NOT_VULNERABLE")
    assert found.tls_fallback_scsv.result.supports_fallback_scsv
    assert not found.tls_1_3_early_data.result.supports_early_data


def resident(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1]) * 1024
    raise AssertionError


def test_handshakes_leave_memory_flat(files: Files) -> None:
    given = files.issue("memory")
    context = files.client()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", PROGRAM, given["cert_file_name"], given["key_file_name"]]

    def shake(count: int) -> None:
        for number in range(count):
            connection = socket.create_connection(("127.0.0.1", port))
            if number % 10 == 0:
                # Half a handshake, or none.
                connection.sendall(b"\x16\x03\x01\x00\x05" if number % 20 else b"GET / HTTP/1.1\r\n\r\n")
                connection.close()
                continue
            with context.wrap_socket(connection, server_hostname="localhost") as shaken:
                shaken.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                assert shaken.recv(1000).endswith(b"hello")

    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as program:
        assert program.stdout is not None
        port = int(program.stdout.readline())
        shake(500)
        before = resident(program.pid)
        shake(1500)
        assert resident(program.pid) - before < 512 * 1024
        program.terminate()
        assert program.wait(20) == -signal.SIGTERM


def test_a_connection_that_idles_costs_little_when_asked(files: Files) -> None:
    """Without the buffers of records an idle connection is a few kilobytes."""
    given = files.issue("idle")
    sizes = []
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    for low in ("0", "1"):
        program_text = PROGRAM.replace("sys.argv[2])", f"sys.argv[2], ssl_prefer_low_memory_usage={low})")
        command = [sys.executable, "-c", program_text, given["cert_file_name"], given["key_file_name"]]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as program:
            assert program.stdout is not None
            port = int(program.stdout.readline())
            context = files.client()
            before = resident(program.pid)
            open_ones: list[ssl.SSLSocket] = []
            for _ in range(200):
                connection = socket.create_connection(("127.0.0.1", port))
                open_ones.append(context.wrap_socket(connection, server_hostname="localhost"))
                open_ones[-1].sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                open_ones[-1].recv(1000)
            sizes.append((resident(program.pid) - before) // len(open_ones))
            for each in open_ones:
                each.close()
            program.terminate()
            assert program.wait(20) == -signal.SIGTERM
    assert sizes[1] < sizes[0]
