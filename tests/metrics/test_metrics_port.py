"""The metrics port of a command with workers: what it answers when these are busy, die, are replaced, or stop."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from broker_servers import free_port
from cli_command import Command, children
from prometheus_client.parser import text_string_to_metric_families as parse
from server_programs import Program
from waiting import wait_until

from socketify import ASGI, WSGI, App, AppListenOptions, serve

PROGRAM = """
import asyncio, os

async def slow(res, req):
    await asyncio.sleep(float(req.get_parameter(0)))
    res.end("slow")

def run(app):
    app.get("/", lambda res, req: res.end(str(os.getpid())))
    app.get("/slow/:seconds", slow)
    app.get("/publish", lambda res, req: res.end(str(app.publish("news", "four"))))
"""


class Served:
    """A command with two workers and its metrics."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        folder.joinpath("program.py").write_text(PROGRAM)
        self.command = Command(
            folder,
            "program:run",
            "--port",
            "0",
            "--workers",
            "2",
            "--metrics",
            "127.0.0.1:0",
            "--interface",
            "socketify",
            *arguments,
        )
        self.url = self.command.url
        self.metrics_url = "http://" + self.command.wait_for(r"metrics on ([\d.:]+)")

    @property
    def workers(self) -> set[int]:
        """Processes that answer requests."""
        text = httpx.get(self.metrics_url + "/metrics").text
        assert text
        return {pid for pid in children(self.command.process.pid) if os.getpgid(pid) == os.getpgid(self.command.process.pid)}

    def sample(self, name: str, **labels: str) -> float:
        """Return the value of a sample now; 0 without one."""
        families = parse(httpx.get(self.metrics_url + "/metrics", timeout=10).text)
        samples = (each for family in families for each in family.samples)
        return sum(each.value for each in samples if each.name == f"socketify_{name}" and each.labels == labels)

    def requests(self) -> float:
        return self.sample("requests_total", method="GET", status="2xx", route="/")

    def ask(self, count: int) -> set[int]:
        return {int(httpx.get(self.url, timeout=10).text) for _ in range(count)}

    def status(self, path: str) -> int:
        return httpx.get(self.metrics_url + path, timeout=10).status_code


def lose(client: httpx.Client) -> None:
    with pytest.raises(httpx.HTTPError):
        client.get("/slow/60", timeout=70)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    running = Served(tmp_path)
    yield running
    if running.command.process.poll() is None:
        running.command.process.kill()
        running.command.process.wait()


def test_counts_of_all_workers_outlive_those_that_are_killed(served: Served) -> None:
    pids: set[int] = set()
    asked = 0
    while len(pids) < 2:
        pids |= served.ask(10)
        asked += 10
    assert served.requests() == asked
    assert served.sample("workers", phase="serving") == 2
    with httpx.Client(base_url=served.url) as client:
        victim = int(client.get("/").text)
        # Waits there, and is lost.
        thread = threading.Thread(target=lose, args=(client,))
        thread.start()
        wait_until(lambda: served.sample("requests_in_flight") == 1)
        os.kill(victim, signal.SIGKILL)
        thread.join(10)
    wait_until(lambda: served.sample("worker_restarts_total", reason="death") == 1)
    wait_until(lambda: served.sample("workers", phase="serving") == 2)
    assert served.requests() == asked + 1
    assert served.sample("requests_in_flight") == served.sample("connections") == 0
    assert served.sample("requests_aborted_total") == 1
    served.ask(10)
    assert served.requests() == asked + 11
    assert served.command.stop() == 0


def test_what_goes_to_other_processes(served: Served) -> None:
    for _ in range(3):
        httpx.get(served.url + "/publish")
    wait_until(lambda: served.sample("broker_published_total") == 3)
    assert served.command.stop() == 0


def test_it_answers_while_all_workers_are_busy(served: Served) -> None:
    workers = served.workers
    assert len(workers) == 2
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    try:
        assert served.sample("workers", phase="serving") == 2
        assert served.sample("process_resident_memory_bytes", process="worker-1") > 1_000_000
        assert served.sample("process_open_fds", process="worker-2") > 3
        assert [served.status(path) for path in ("/healthz", "/livez", "/readyz", "/nowhere")] == [200, 200, 200, 404]
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGCONT)
    assert served.command.stop() == 0


def test_counts_outlive_a_rolling_restart(served: Served) -> None:
    before = served.workers
    served.ask(5)
    served.command.process.send_signal(signal.SIGHUP)
    wait_until(lambda: not before & served.workers and served.sample("workers", phase="serving") == 2)
    assert served.requests() == 5
    assert served.sample("worker_restarts_total", reason="rolling") == 2
    assert served.sample("worker_restarts_total", reason="death") == 0
    served.ask(5)
    assert served.requests() == 10
    assert served.command.stop() == 0


def test_it_is_not_ready_while_it_drains_and_ends_last(served: Served) -> None:
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(httpx.get(served.url + "/slow/2", timeout=20)))
    thread.start()
    wait_until(lambda: served.sample("requests_in_flight") == 1)
    served.command.process.send_signal(signal.SIGTERM)
    wait_until(lambda: served.status("/readyz") == 503)
    assert served.status("/healthz") == 200
    assert served.sample("requests_in_flight") == 1
    thread.join(20)
    assert answers[0].text == "slow"
    assert served.command.process.wait(20) == -signal.SIGTERM
    with pytest.raises(httpx.ConnectError):
        served.status("/healthz")


def test_its_process_is_replaced(served: Served) -> None:
    served.ask(3)
    (found,) = set(children(served.command.process.pid)) - served.workers
    os.kill(found, signal.SIGKILL)
    served.command.wait_for("the process for metrics ended")
    deadline = time.monotonic() + 20
    while True:
        try:
            assert served.requests() == 3
            break
        except httpx.HTTPError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert served.command.stop() == 0


@pytest.mark.parametrize("value", ["nine", "127.0.0.1:70000"])
def test_places_that_are_none(tmp_path: Path, value: str) -> None:
    command = Command(tmp_path, "program:run", "--metrics", value)
    assert command.process.wait(20) == 2
    message = f"metrics must be HOST:PORT or a port, from 0 to 65535, not {value!r}"
    assert message in command.said


def test_a_place_that_is_taken(served: Served, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    place = served.metrics_url.partition("//")[2]
    command = Command(folder, "program:run", "--port", "0", "--metrics", place)
    assert command.process.wait(20) == 2
    assert f"cannot listen on {place}: the address is taken" in command.said
    assert served.command.stop() == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_a_program_has_a_metrics_port(workers: int) -> None:
    text = (
        "import os, socketify\n"
        "def run(app):\n    app.get('/', lambda res, req: res.end(str(os.getpid())))\n"
        f"socketify.serve(run, port=0, workers={workers}, metrics='127.0.0.1:0',\n"
        "    on_listen=lambda config: print(config.port), on_metrics=lambda config: print(config.port))\n"
    )
    with Program(text) as running:
        assert httpx.get(running.url, timeout=20).status_code == 200
        ours = f"http://127.0.0.1:{int(running.stdout.readline())}"
        wait_until(lambda: httpx.get(ours + "/readyz", timeout=20).status_code == 200)
        samples = {
            (each.name, *each.labels.values()): each.value
            for family in parse(httpx.get(ours + "/metrics", timeout=20).text)
            for each in family.samples
        }
        assert samples["socketify_workers", "serving"] == workers
        assert samples["socketify_requests_total", "GET", "2xx", "/"] == 1
        assert len(children(running.process.pid)) == workers + 1
        running.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(ours)


@pytest.mark.parametrize("interface", [ASGI, WSGI])
def test_an_interface_server_has_one(interface: Any) -> None:
    port = free_port()
    server = interface(lambda *_: None).listen(0)
    server.run(block=False, metrics=port)
    assert httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=20).status_code == 200
    server.close()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/readyz")


def test_a_port_that_the_system_picks_is_told(caplog: pytest.LogCaptureFixture) -> None:
    told: list[AppListenOptions] = []
    server = WSGI(lambda *_: []).listen(0)
    with caplog.at_level("INFO", "socketify"):
        server.run(block=False, metrics="localhost:0", on_metrics=told.append)
    (config,) = told
    assert (config.host, f"metrics on localhost:{config.port}") == ("localhost", caplog.messages[-1])
    assert httpx.get(f"http://localhost:{config.port}/readyz", timeout=20).status_code == 200
    server.close()


@pytest.mark.parametrize(
    ("given", "error"), [({"metrics": 0, "on_metrics": 7}, TypeError), ({"on_metrics": print}, ValueError)]
)
def test_who_cannot_be_told(given: dict[str, Any], error: type[Exception]) -> None:
    server = WSGI(lambda *_: [])
    with pytest.raises(error, match="on_metrics"):
        server.run(**given)
    server.close()


@pytest.mark.parametrize(
    ("value", "error"), [("nowhere", ValueError), ("a:b", ValueError), (70000, ValueError), (True, TypeError), (1.5, TypeError)]
)
def test_what_is_no_place_for_metrics(value: Any, error: type[Exception]) -> None:
    server = WSGI(lambda *_: [])
    with pytest.raises(error, match="metrics must be HOST:PORT or a port"):
        server.run(metrics=value)
    server.close()


def test_an_app_has_a_path_instead() -> None:
    app = App()
    with pytest.raises(ValueError, match=r"^metrics: an App serves with one process"):
        serve(app, port=0, metrics=9100)
    app.close()
