"""NiceGUI: a page, its files, and its websocket."""

from __future__ import annotations

import re
from typing import Any

import httpx
from fastapi import FastAPI
from nicegui import ui
from transcript import told

app = FastAPI()


@ui.page("/")
def index() -> None:
    """Say hello."""
    ui.label("hello")
    ui.button("Press", on_click=lambda: ui.notify("pressed"))


ui.run_with(app, storage_secret="x")


async def drive(url: str) -> list[Any]:
    """Load the page as a browser would."""
    said: list[Any] = []
    async with httpx.AsyncClient(base_url=url, headers={"Accept-Encoding": "gzip, br"}, timeout=60) as client:
        page = await client.get("/")
        said.append(told(page, "body", "content-length", "set-cookie"))
        for asset in sorted(set(re.findall(r'(?:src|href)="(/_nicegui/[^"]+)"', page.text))):
            said.append(told(await client.get(asset)))
    return said
