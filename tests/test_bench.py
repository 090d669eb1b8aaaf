"""The programs of the benchmarks start and answer, and the page tells what was measured."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from websockets.sync.client import connect

BENCH = Path(__file__).parents[1] / "bench"
sys.path.insert(0, str(BENCH))

import clients  # noqa: E402
import h2load  # noqa: E402
import http2  # noqa: E402
import instructions  # noqa: E402
import page  # noqa: E402
import programs  # noqa: E402
import results as kept  # noqa: E402
from earlier import Earlier  # noqa: E402
from environments import NATIVE, OWN, SHARED, Environments  # noqa: E402
from files import make_files  # noqa: E402
from harness import ROOT, BenchmarkError, Server  # noqa: E402
from loads import Outcome  # noqa: E402
from memory import growth_over_waiting  # noqa: E402
from probe import probe  # noqa: E402
from programs import Program  # noqa: E402
from scenario import Scenario  # noqa: E402
from scenarios import (  # noqa: E402
    APPLICATIONS,
    ECHO,
    HALF,
    ITEM_ROW,
    MANY,
    ORDER,
    POSTED,
    SCENARIOS,
    TWO_WAITS,
    VERY_MANY,
    WAITING,
    chosen,
)
from services import redis  # noqa: E402
from targets import BOUNDS  # noqa: E402

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the harness reads Linux's /proc")
BUILT = (ROOT / "zig-out" / "bin" / "paced_load").exists()
BY_KEY = {scenario.key: scenario for scenario in SCENARIOS}
PLACES = [
    (scenario, program)
    for scenario in SCENARIOS
    for program in scenario.programs
    if program.environment in (OWN, NATIVE) and "io_uring" not in program.name and not scenario.key.startswith("growth")
]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificate, is not installed")
    path = tmp_path_factory.mktemp("bench")
    make_files(path)
    yield path
    shutil.rmtree(path)


class Here(Server):
    """A server of the test itself."""

    def __init__(self, port: int) -> None:
        self.port, self.scheme = port, "http"

    def cpu_seconds(self) -> float:
        return time.process_time()


def check_websocket(server: Server) -> None:
    with connect(f"ws://127.0.0.1:{server.port}/echo", compression=None) as client:
        client.send(b"\0\1")
        assert client.recv(timeout=10) == b"\0\1"
    url = f"ws://127.0.0.1:{server.port}/broadcast"
    with connect(url, compression=None) as one, connect(url, compression=None) as other:
        one.send(b"all")
        assert [client.recv(timeout=10) for client in (one, other)] == [b"all", b"all"]


@pytest.mark.parametrize(("scenario", "program"), PLACES, ids=[f"{one.key}-{program.name}" for one, program in PLACES])
def test_program_answers(scenario: Scenario, program: Program, directory: Path) -> None:
    if program.environment == NATIVE and not BUILT:
        pytest.skip("needs: python -m ziglang build bench")
    for package in scenario.packages:
        pytest.importorskip(package)
    if scenario.behaviour == "fastapi":
        pytest.importorskip("redis")
    if scenario.redis and shutil.which("redis-server") is None:
        pytest.skip("needs redis-server")
    if scenario.key.startswith("http2-") and shutil.which("curl") is None:
        pytest.skip("needs curl")
    with contextlib.ExitStack() as stack:
        variables = stack.enter_context(redis(None)) if scenario.redis else {}
        server = stack.enter_context(program.start(Environments(), scenario.behaviour, directory, None, variables))
        if scenario.behaviour == "websocket":
            check_websocket(server)
        else:
            for load in scenario.loads:
                probe(server, scenario, load)
        assert server.peak_bytes() > 0


def test_paused_server_answers_only_while_it_is_awake(directory: Path) -> None:
    with programs.NATIVE_OURS[0].start(Environments(), "hello", directory) as server:
        server.pause()
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            client.settimeout(0.3)
            with pytest.raises(socket.timeout):
                client.recv(1)
            client.settimeout(10)
            with server.awake():
                assert client.recv(12) == b"HTTP/1.1 200"
    # It could say goodbye although it was paused, and was not killed.
    assert server.process.returncode in {0, -signal.SIGTERM}


def test_watched_server_logs_what_it_answers(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = [sys.executable, str(BENCH / "serve" / "asgi.py"), "socketify", "hello", str(tmp_path)]
    with Server(command, variables={"BENCH_LOG": str(log)}) as server:
        probe(server, BY_KEY["hello"], MANY)
    assert '"GET / HTTP/1.1" 200' in log.read_text()


def test_program_that_does_not_start_says_why(directory: Path) -> None:
    with pytest.raises(BenchmarkError, match="KeyError"):
        programs.NATIVE_OURS[0].start(Environments(), "nonsense", directory)


def test_wrong_answer_is_found(directory: Path) -> None:
    with programs.NATIVE_OURS[0].start(Environments(), "body", directory) as server, pytest.raises(BenchmarkError, match="13"):
        probe(server, BY_KEY["hello"], MANY)


def test_wrong_text_and_wrong_object_are_found(directory: Path) -> None:
    with programs.ASGI_OURS[0].start(Environments(), "json", directory) as server:
        with pytest.raises(BenchmarkError, match="GET /items/7"):
            probe(server, BY_KEY["app-starlette"], ITEM_ROW)
        with pytest.raises(BenchmarkError, match="Hello, World"):
            probe(server, replace(BY_KEY["json"], request=clients.Request(answer="Hello")), MANY)


def test_memory_of_requests_that_wait_is_measured_while_all_wait(directory: Path) -> None:
    with programs.ASGI_OURS[0].start(Environments(), "waiting", directory) as server:
        grown = growth_over_waiting(server, 300)
        assert grown.before > 0
        # All of them were released and have an answer: it would have raised otherwise.
        with pytest.raises(BenchmarkError, match="of 1 requests wait"):
            growth_over_waiting(server, 1, 0.2)


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="needs redis-server")
def test_redis_runs_only_while_it_is_needed() -> None:
    with redis(None) as variables:
        address = ("127.0.0.1", int(variables["BENCH_REDIS"].rpartition(":")[2]))
        with socket.create_connection(address, 5) as connection:
            connection.sendall(b"GET greeting\r\n")
            assert connection.recv(64) == b"$13\r\nHello, World!\r\n"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, 5)


@pytest.mark.skipif(shutil.which("wrk") is None, reason="needs wrk")
def test_wrk_sends_fields_and_body() -> None:
    request = clients.Request("/orders?a=b", "POST", ORDER, (("Content-Type", "application/json"), ("X-Mark", "a: b")))
    heads: list[bytes] = []

    def answer(listener: socket.socket) -> None:
        # wrk tries the address first, with a connection that it closes.
        while not heads:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(ConnectionResetError):
                while data := connection.recv(4096):
                    heads.append(data)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, args=(listener,))
        thread.start()
        clients.run_wrk(Here(listener.getsockname()[1]), clients.Load("one", 1), 0.2, None, request)
        thread.join(10)
    head, _, body = heads[0].decode().partition("\r\n\r\n")
    assert head.splitlines()[0] == "POST /orders?a=b HTTP/1.1"
    assert {"Content-Type: application/json", "X-Mark: a: b", "Content-Length: 28"} <= set(head.splitlines())
    assert body == ORDER


def test_download_stops_at_the_end_of_the_file(directory: Path) -> None:
    with programs.NATIVE_OURS[0].start(Environments(), "static", directory) as server:
        measured = clients.download(server, "/static/small.bin", 100_000, 10)
        with pytest.raises(BenchmarkError, match="404"):
            clients.download(server, "/static/missing.bin", 100_000, 10)
    assert measured.requests == 0.1


@pytest.mark.skipif(shutil.which("h2load") is None, reason="needs h2load")
@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("behaviour", ["echo", "tls"])
def test_h2load_makes_as_many_requests_as_it_is_told(directory: Path, behaviour: str, version: int) -> None:
    request = clients.Request("/", "POST", "x" * 100_000) if behaviour == "echo" else clients.GET
    with programs.ASGI_OURS[0].start(Environments(), behaviour, directory) as server:
        measured, latency = h2load.run_h2load(server, h2load.Streams(2, 3, version), 50, None, request)
        with pytest.raises(BenchmarkError, match="failed"):
            h2load.run_h2load(Here(1), h2load.Streams(1, 1), 1)
    assert measured.requests == 50
    assert measured.cpu_seconds > 0
    assert 0 < latency < measured.seconds


def test_memory_of_streams_is_measured_while_all_wait(directory: Path) -> None:
    with programs.NATIVE_OURS[0].start(Environments(), "waiting", directory) as server:
        assert h2load.growth_over_streams(server, 3, 100).before > 0
    with programs.ASGI_OURS[0].start(Environments(), "waiting", directory) as server:
        assert h2load.growth_over_streams(server, 3, 100).before > 0
        with pytest.raises(BenchmarkError, match="of 1 requests wait"):
            h2load.growth_over_streams(server, 1, 1, 0.2)


def test_ratio_to_another_load_of_the_same_server() -> None:
    bound = next(one for one in BOUNDS if one.base_load == http2.PIPELINED.name)
    measured = {
        bound.scenario: result({programs.EPOLL: {**figures(1000, http2.MANY.name), **figures(1500, http2.PIPELINED.name)}})
    }
    spread = bound.measured(measured, programs.EPOLL)
    assert spread is not None
    assert round(spread.median, 3) == 1.5


@pytest.mark.skipif(not BUILT, reason="needs: python -m ziglang build bench")
def test_paced_load_sends_as_many_requests_as_are_due(directory: Path) -> None:
    with programs.NATIVE_OURS[0].start(Environments(), "hello", directory) as server:
        measured = clients.run_paced(server, 4, 500, 0.5)
    assert measured.requests == 250
    assert 0 < measured.latency_p50_us <= measured.latency_p99_us <= measured.latency_p999_us


@pytest.mark.skipif(not BUILT, reason="needs: python -m ziglang build bench")
def test_paced_load_refuses_other_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # Backlog alone: it connects, and is never answered; the client gives up by itself.
        command = [ROOT / "zig-out" / "bin" / "paced_load", str(listener.getsockname()[1]), "/", "1", "10", "100"]
        done = subprocess.run(command, input="\n", capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "UnexpectedAnswer" in done.stderr


@pytest.mark.skipif(not BUILT or shutil.which("wrk") is None, reason="needs wrk and: python -m ziglang build bench")
def test_run_measures_keeps_and_writes(tmp_path: Path) -> None:
    command = [sys.executable, BENCH / "run.py", "--only", "hello", "--only", "idle", "--rounds", "1", "--seconds", "0.4"]
    command += ["--warm-up", "0.1", "--idle-seconds", "0.1", "--idle-connections", "20", "--peers", tmp_path / "none"]
    command += ["--results", tmp_path / "results", "--output", tmp_path]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120, check=False)
    # There is no environment to draw with, which is said when the page is written.
    assert "the page has no plots" in done.stderr
    assert "uvicorn: its environment was not set up" in done.stderr
    turns = json.loads((tmp_path / "results" / "hello.json").read_text())["rounds"][0]
    assert len(turns) == MANY.turns == HALF.turns
    for turn in turns:
        assert turn[programs.EPOLL][MANY.name]["per_second"] > 0
        paced = turn[programs.EPOLL][HALF.name]
        # In words where the machine has so much else to do that some answers came too late.
        assert "were not answered in time" in paced if isinstance(paced, str) else paced["p999_us"] > 0
    assert [VERY_MANY.name in turn[programs.EPOLL] for turn in turns] == [True, False, False, False]
    text = (tmp_path / "benchmarks.md").read_text()
    assert f"| **{programs.EPOLL}** |" in text
    assert "- robyn: its environment was not set up." in text


@pytest.mark.skipif(not BUILT or shutil.which("wrk") is None, reason="needs wrk and: python -m ziglang build bench")
def test_compare_takes_peers() -> None:
    peer = f"mine={sys.executable} {BENCH / 'hello.py'}"
    command = [sys.executable, str(BENCH / "compare.py"), "--rounds", "1", "--seconds", "0.5", "--peer", peer]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines() if "mine" in line] == ["mine"] * 4


def result(*turns: kept.Turn) -> kept.Result:
    return kept.Result("2026-01-01 00:00 UTC", 1.0, {"CPU": "one"}, {}, [list(turns)])


def figures(rate: float, load: str = MANY.name) -> Outcome:
    return {load: {"per_second": rate, "cpu_us": 1e6 / rate}}


def test_ratios_are_taken_within_a_turn() -> None:
    # The machine was ten times as slow in the second turn: for both.
    measured = result(
        {programs.EPOLL: figures(3000), programs.PUBLISHED: figures(1000)},
        {programs.EPOLL: figures(300), programs.PUBLISHED: figures(100)},
    )
    spread = measured.ratio(programs.EPOLL, programs.PUBLISHED, MANY.name, "per_second")
    assert spread is not None
    assert (spread.least, spread.median, spread.greatest) == (3, 3, 3)


def test_page_tells_which_targets_are_met() -> None:
    measured = {
        "hello": result({programs.EPOLL: figures(1100), programs.PUBLISHED: figures(1000), programs.CEILING: figures(1200)})
    }
    text = page.render(measured, Earlier())
    rows = {line.split(" | ")[0].lstrip("| "): line for line in text.splitlines() if line.startswith("| ")}
    assert "1.10: **not met**" in rows["hello, 64 connections: requests against socketify 0.0.31"]
    assert "1.09: met" in rows["hello, 64 connections: CPU for each request against the engine in C++"]
    assert "not measured" in rows["ASGI hello, 64 connections: requests against uvicorn"]


def test_page_tells_over_how_many_requests_memory_grew() -> None:
    grown = {"hello": {"requests": 10_000_000.0, "grown_kib": 0.0}}
    text = page.render({"growth": result({programs.EPOLL: grown, programs.URING: grown})}, Earlier())
    assert "| memory growth over 10,000,000 requests | at most 512 KiB | 0 KiB: met | 0 KiB: met |" in text


def test_page_tells_what_failed() -> None:
    measured = {
        "hello": result({programs.EPOLL: figures(1), "robyn": {MANY.name: "it crashed"}, "uvicorn": {"": "it is missing"}})
    }
    text = page.render(measured, Earlier())
    assert f"- robyn, {MANY.name}: it crashed." in text
    assert "- uvicorn: it is missing." in text


def test_targets_against_uvicorn_hold_against_its_better_parser() -> None:
    bound = next(one for one in BOUNDS if one.what.startswith("raw ASGI with two waits"))
    assert bound.bases == ("uvicorn", "uvicorn, zttp")
    measured = {
        "app-asgi": result(
            {
                programs.EPOLL: figures(2000, TWO_WAITS.name),
                "uvicorn": figures(1000, TWO_WAITS.name),
                "uvicorn, zttp": figures(1250, TWO_WAITS.name),
            }
        )
    }
    spread = bound.measured(measured, programs.EPOLL)
    assert spread is not None
    assert round(spread.median, 3) == 0.625
    assert not bound.met(spread, programs.EPOLL)
    assert "| at most 0.6 to each of its parsers | 0.62: **not met** |  |" in page.render(measured, Earlier())


def test_page_begins_with_the_applications() -> None:
    measured = {
        "app-asgi": result(
            {programs.EPOLL: figures(100_000, TWO_WAITS.name), "granian, asgi": figures(50_000, TWO_WAITS.name)},
        ),
        "app-flask": result({programs.EPOLL: figures(20_000, ITEM_ROW.name), "gunicorn": figures(40_000, ITEM_ROW.name)}),
    }
    lines = page.render(measured, Earlier()).splitlines()
    at = lines.index("| application | socketify | granian | gunicorn |")
    assert "| raw ASGI: GET, two waits | **10.0** | 20.0 |  |" in lines[at:]
    assert "| Flask: GET | 50.0 |  | **25.0** |" in lines[at:]
    titles = [line for line in lines if line.startswith("## ")]
    assert titles[:5] == ["## Applications", "## Targets", "## How it is measured", "## Raw ASGI", "## Flask"]


def test_what_was_not_measured_anew_stays_on_the_page(tmp_path: Path) -> None:
    path = tmp_path / "benchmarks.md"
    both = {programs.EPOLL: figures(1100), programs.PUBLISHED: figures(1000), programs.CEILING: figures(1200)}
    page.write(
        {"hello": result(both), "growth": result({programs.EPOLL: {"hello": {"requests": 1e7, "grown_kib": 4.0}}})}, path
    )
    before = path.read_text()
    page.write({"app-flask": result({programs.EPOLL: figures(20_000, ITEM_ROW.name)})}, path)
    after = path.read_text()
    kept_lines = [line for line in before.splitlines() if "1,100" in line or "1.10" in line or "4 KiB" in line]
    assert len(kept_lines) == 3
    assert set(kept_lines) <= set(after.splitlines())
    assert "## HTTP: hello, world\n" in after
    page.write({}, path)
    assert path.read_text() == after
    # The rows of the first table are of one run: it stays as it is while not all of them are measured anew.
    page.write({"app-wsgi": result({programs.EPOLL: figures(20_000, POSTED.name)})}, path)
    assert "\n| Flask: GET | **50.0** |\n" in path.read_text()
    assert "raw WSGI: JSON POST" not in path.read_text()


def test_readme_gets_the_first_table_between_its_marks(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(f"before\n{page.README_BEGIN}nothing yet\n{page.README_END}behind\n")
    page.write_readme({"app-flask": result({programs.EPOLL: figures(1)})}, path)
    assert "nothing yet" in path.read_text()
    page.write_readme({one.key: result({programs.EPOLL: figures(20_000, ITEM_ROW.name)}) for one in APPLICATIONS}, path)
    text = path.read_text()
    assert text.startswith(f"before\n{page.README_BEGIN}")
    assert "\n| Flask: GET | **50.0** |\n" in text
    assert text.endswith(f"|\n{page.README_END}behind\n")
    assert "nothing yet" not in text
    readme = (ROOT / "README.md").read_text()
    assert page.README_END in readme.partition(page.README_BEGIN)[2]


def test_tables_are_consistent() -> None:
    assert len({one.key for one in SCENARIOS}) == len({one.title for one in SCENARIOS}) == len(SCENARIOS)
    for scenario in SCENARIOS:
        assert len({load.name for load in scenario.loads}) == len(scenario.loads), scenario.key
        assert len({program.name for program in scenario.programs}) == len(scenario.programs), scenario.key
        assert set(scenario.packages) <= set(SHARED), scenario.key
    for scenario in APPLICATIONS:
        assert programs.EPOLL in {program.name for program in scenario.programs}
        assert bool(scenario.application) == (WAITING not in scenario.loads)
    assert len(ORDER) == 28


def test_first_table_takes_less_than_twenty_five_minutes() -> None:
    command = [sys.executable, str(BENCH / "run.py"), "--list", "--only", "app-*", "--only", "one-connection"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert int(done.stdout.splitlines()[-1].split()[1]) < 25


def test_bounds_name_what_is_measured() -> None:
    for bound in BOUNDS:
        scenario = BY_KEY[bound.scenario]
        names = {program.name for program in scenario.programs}
        assert bound.load in {load.name for load in scenario.loads}, bound.what
        assert set(bound.bounds) <= names, bound.what
        assert set(bound.bases) <= names, bound.what
        assert bound.base_load in {"", *(load.name for load in scenario.loads)}, bound.what


def test_scenarios_are_chosen_by_key_or_beginning() -> None:
    assert [one.key for one in chosen(["asgi*", "hello"])] == ["hello", "asgi", "asgi-falcon"]
    assert chosen([]) == list(SCENARIOS)
    with pytest.raises(ValueError, match="no scenario nonsense"):
        chosen(["nonsense"])
    assert ECHO in BY_KEY["websocket"].loads


@pytest.mark.parametrize("name", instructions.PROGRAMS)
def test_counted_programs_answer_and_end(name: str) -> None:
    command = [sys.executable, BENCH / "serve" / "counted.py", name, "32"]
    environment = dict(os.environ, PYTHONPATH=str(ROOT))
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout
        with socket.create_connection(("127.0.0.1", int(process.stdout.readline())), 10) as connection:
            instructions.ask(connection, name, 32)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")


def test_costs_are_without_the_start() -> None:
    assert instructions.cost(ROOT, "hello", lambda root, name, count: 1_000_000 + 17 * count) == 17
