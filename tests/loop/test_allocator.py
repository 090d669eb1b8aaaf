"""Memory that large messages needed is there for the next ones."""

from __future__ import annotations

import http.client
import os
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from capabilities import FREE_THREADED

import socketify

ROOT = Path(socketify.__file__).parents[1]
UPLOAD = b"x" * 1_000_000
PROGRAM = """
from socketify import App
app = App()
async def echo(res, req):
    res.end((await res.get_data()).getvalue())
app.post("/", echo)
app.listen(0, lambda config: print(config.port, flush=True))
app.run()
"""

pytestmark = [
    pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no such thresholds"),
    pytest.mark.skipif(FREE_THREADED, reason="free-threaded CPython has an allocator of its own"),
]


def page_faults(pid: int) -> int:
    """Of a process, without those of the disk (proc(5): minflt)."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[7])


def upload(port: int, count: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    for _ in range(count):
        connection.request("POST", "/", UPLOAD)
        assert connection.getresponse().read() == UPLOAD
    connection.close()


def faults_of_an_upload(**environment: str) -> float:
    """How many pages the kernel has to give, on average, for a megabyte that is received and sent back."""
    variables = {name: value for name, value in os.environ.items() if "MALLOC" not in name.upper()}
    variables.update({"PYTHONPATH": str(ROOT), **environment})
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True, env=variables) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(upload, [port] * 4, [10] * 4))
                before = page_faults(process.pid)
                list(pool.map(upload, [port] * 4, [25] * 4))
            return (page_faults(process.pid) - before) / 100
        finally:
            process.terminate()


def test_memory_of_large_messages_is_not_given_back_to_be_asked_for_again() -> None:
    assert faults_of_an_upload() < 50


@pytest.mark.parametrize("name", ["MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"])
def test_who_chose_thresholds_keeps_them(name: str) -> None:
    assert faults_of_an_upload(**{name: "65536"}) > 100


def test_tunables_are_kept() -> None:
    assert faults_of_an_upload(GLIBC_TUNABLES="glibc.malloc.mmap_threshold=65536") > 100
