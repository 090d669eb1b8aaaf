"""datasette over a small database."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import httpx
from datasette.app import Datasette
from transcript import told

FILE = Path(tempfile.gettempdir()) / "socketify-applications.db"
FILE.unlink(missing_ok=True)
with sqlite3.connect(FILE) as connection:
    connection.execute("create table numbers (number integer primary key, name text)")
    connection.executemany("insert into numbers values (?, ?)", [(number, f"nömber {number}") for number in range(5000)])

app = Datasette([str(FILE)], settings={"allow_csv_stream": True}, secret="x", inspect_data={}).app()
PATHS = (
    "/",
    "/-/databases.json",
    "/-/static/app.css",
    "/-/static/none.css",
    "/socketify-applications/numbers",
    "/socketify-applications/numbers.json?_size=3",
    "/socketify-applications/numbers.csv?_stream=on",
    "/socketify-applications/numbers/5",
    "/socketify-applications.db",
    "/none",
)


async def drive(url: str) -> list[Any]:
    """Look at the pages."""
    said: list[Any] = []
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        for path in PATHS:
            for method in ("GET", "HEAD"):
                # Pages tell how many milliseconds a query took.
                is_page = "json" in path or "." not in path
                ignored = ("body", "content-length") if is_page else ()
                said.append(told(await client.request(method, path), *ignored, "set-cookie"))
    return said
