"""Debian's Prometheus scrapes a server, and answers queries about it."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from broker_servers import free_port
from cli_command import Command

PROGRAM = 'def run(app):\n    app.get("/users/:id", lambda res, req: res.end("hello"))\n'
CONFIGURATION = """
global: {{ scrape_interval: 1s, scrape_timeout: 1s }}
scrape_configs:
  - job_name: shop
    static_configs: [{{ targets: ["{place}"] }}]
"""


def query(url: str, text: str) -> Any:
    """Return the values of a query, by labels in the order of their names."""
    try:
        answer = httpx.get(f"{url}/api/v1/query", params={"query": text}).json()
    except (httpx.TransportError, ValueError):
        return {}
    found = answer.get("data", {}).get("result", [])
    return {tuple(value for _, value in sorted(each["metric"].items())): float(each["value"][1]) for each in found}


def test_it_is_scraped(tmp_path: Path) -> None:
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is not installed")
    (tmp_path / "program.py").write_text(PROGRAM)
    served = Command(tmp_path, "program:run", "--port", "0", "--workers", "2", "--metrics", "0", "--interface", "socketify")
    url = served.url
    place = served.wait_for(r"metrics on ([\d.:]+)")
    for number in range(7):
        httpx.get(f"{url}/users/{number}")
    (tmp_path / "prometheus.yml").write_text(CONFIGURATION.format(place=place))
    own = free_port()
    options = [f"--config.file={tmp_path / 'prometheus.yml'}", f"--storage.tsdb.path={tmp_path / 'data'}"]
    with (tmp_path / "prometheus.txt").open("wb") as output:
        process = subprocess.Popen([program, *options, f"--web.listen-address=127.0.0.1:{own}"], stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 60
        wanted = 'sum by (route, status) (socketify_requests_total{job="shop"})'
        while query(f"http://127.0.0.1:{own}", wanted) != {("/users/:id", "2xx"): 7}:
            assert time.monotonic() < deadline, (tmp_path / "prometheus.txt").read_text()
            time.sleep(0.1)
        assert query(f"http://127.0.0.1:{own}", "up") == {("up", place, "shop"): 1}
        quantile = "histogram_quantile(0.99, sum by (le) (socketify_request_duration_seconds_bucket))"
        assert 0 < query(f"http://127.0.0.1:{own}", quantile)[()] < 10
    finally:
        process.terminate()
        process.wait(20)
    assert served.stop() == 0
