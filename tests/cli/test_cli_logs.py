"""Flags about logs and fields, and the file that configures logging."""

from __future__ import annotations

import http.client
import json
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from socketify.cli.arguments import parse_arguments

FAILS = """
def run(app):
    def fails(res, req):
        raise ValueError("wrong")
    app.get("/fails", fails)
    app.get("/*", lambda res, req: res.end(req.get_header("x-request-id") or "none"))
"""


@pytest.fixture
def fails(tmp_path: Path) -> None:
    (tmp_path / "fails.py").write_text(FAILS)


def get(url: str, path: str = "/", **fields: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=20)
    connection.request("GET", path, headers=fields)
    response = connection.getresponse()
    response.read()
    connection.close()
    return response


def wait_for_lines(path: Path, count: int) -> list[str]:
    deadline = time.monotonic() + 20
    while True:
        lines = path.read_text().splitlines() if path.exists() else []
        if len(lines) >= count or time.monotonic() > deadline:
            return lines
        time.sleep(0.02)


@pytest.mark.usefixtures("fails")
def test_workers_write_one_log_and_their_errors_name_them(command: Any, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    flags = ("--workers", "2", "--request-id", "--header", "X-A: 1", "--access-log", "%(worker)s %(s)s %(request_id)s")
    running = command("fails:run", "--port", "0", *flags, "--access-log-file", str(log))
    url = running.url
    for number in range(20):
        assert get(url, "/fails", **{"X-Request-ID": f"id-{number}"}).getheader("X-A") == "1"
    lines = wait_for_lines(log, 20)
    assert sorted(line.split()[2] for line in lines) == sorted(f"id-{number}" for number in range(20))
    assert all(re.fullmatch(r"[12] 500 id-\d+", line) for line in lines)
    running.wait_for(r"ERROR: worker [12]: a handler failed, request id-19")
    log.rename(tmp_path / "old")
    running.process.send_signal(signal.SIGUSR1)
    deadline = time.monotonic() + 20
    while not log.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    # The other worker gets the signal at the same time.
    time.sleep(0.3)
    get(url)
    assert len(wait_for_lines(log, 1)) == 1
    assert running.stop() == 0


CONFIG = {
    "version": 1,
    "formatters": {"mine": {"format": "mine %(levelname)s %(worker)s %(request_id)s %(message)s"}},
    "handlers": {"file": {"class": "logging.FileHandler", "filename": "errors.log", "formatter": "mine"}},
    "loggers": {"socketify": {"handlers": ["file"], "propagate": False}},
}
YAML = """
version: 1
formatters: {mine: {format: "mine %(levelname)s %(worker)s %(request_id)s %(message)s"}}
handlers: {file: {class: logging.FileHandler, filename: errors.log, formatter: mine}}
loggers: {socketify: {handlers: [file], propagate: false}}
"""
TOML = """
version = 1
[formatters.mine]
format = "mine %(levelname)s %(worker)s %(request_id)s %(message)s"
[handlers.file]
class = "logging.FileHandler"
filename = "errors.log"
formatter = "mine"
[loggers.socketify]
handlers = ["file"]
propagate = false
"""


@pytest.mark.usefixtures("fails")
@pytest.mark.parametrize("ending", ["json", "yaml", "toml"])
def test_logging_is_configured_by_a_file(command: Any, tmp_path: Path, ending: str) -> None:
    if ending == "yaml":
        pytest.importorskip("yaml")
    if ending == "toml" and sys.version_info < (3, 11):
        pytest.importorskip("tomli")
    text = {"json": json.dumps(CONFIG), "yaml": YAML, "toml": TOML}[ending]
    (tmp_path / f"logging.{ending}").write_text(text)
    running = command("fails:run", "--port", "0", "--log-config", f"logging.{ending}", "--request-id", "X-Trace")
    get(running.url, "/fails", **{"X-Trace": "abc"})
    lines = wait_for_lines(tmp_path / "errors.log", 1)
    assert lines[0] == "mine ERROR  abc a handler failed, request abc"
    assert "Traceback" not in running.said


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.json", "{", "Expecting property name"),
        ("a.json", "[]", "must be a mapping"),
        ("a.json", '{"version": 1, "handlers": {"x": {"class": "no.Such"}}}', "Unable to configure handler 'x'"),
        ("a.ini", "", "must end with .json, .yaml, .yml or .toml"),
        ("none.json", None, "No such file"),
    ],
)
def test_wrong_files(command: Any, tmp_path: Path, name: str, text: Any, said: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    running = command("app:run", "--port", "0", "--log-config", name)
    assert running.process.wait(20) == 2
    assert said in running.said
    assert running.said.count("\n") == 1


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--header", "no colon"], "must be NAME:VALUE"),
        (["--header", "a b:c"], "not a token"),
        (["--request-id", "a b"], "not a token"),
        (["--trusted-hops", "0"], "must be from 1 to 100"),
        (["--proxy-protocol", "v3"], "invalid choice: 'v3'"),
        (["--access-log-file", "a", "--access-logger", "b"], "--access-log-file excludes --access-logger"),
    ],
)
def test_wrong_flags(flags: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(["app:run", *flags], {})
    assert said in capsys.readouterr().err


def test_flags_without_a_value() -> None:
    settings = parse_arguments(["app:run", "--proxy-headers", "--proxy-protocol", "--request-id"], {})
    assert (settings.proxy_headers, settings.proxy_protocol, settings.request_id) == (True, "required", True)
    settings = parse_arguments(["app:run"], {"SOCKETIFY_PROXY_PROTOCOL": "optional", "SOCKETIFY_HEADER": "a: b"})
    assert (settings.proxy_protocol, settings.header) == ("optional", [("a", "b")])
