"""gradio: its page, its own scripts and styles, and a call by its client."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import gradio
import httpx
from fastapi import FastAPI
from gradio_client import Client
from transcript import told


def greet(name: str) -> str:
    """Greet."""
    return f"hello {name}"


def count(to: float) -> Any:
    """Count, in steps."""
    yield from range(int(to))


with gradio.Blocks() as blocks:
    name, to = gradio.Textbox(), gradio.Number()
    greeting, number = gradio.Textbox(), gradio.Number()
    gradio.Button("Greet").click(greet, name, greeting, api_name="greet")
    gradio.Button("Count").click(count, to, number, api_name="count")

app = gradio.mount_gradio_app(FastAPI(), blocks, path="/")


def called(url: str) -> list[Any]:
    """Use the official client."""
    client = Client(url, verbose=False)
    return [client.predict("you", api_name="/greet"), client.submit(5, api_name="/count").result()]


async def drive(url: str) -> list[Any]:
    """Load the page as a browser would."""
    said: list[Any] = []
    async with httpx.AsyncClient(base_url=url, headers={"Accept-Encoding": "gzip, br"}, timeout=60) as client:
        page = await client.get("/")
        said.append(told(page, "body", "content-length"))
        for asset in sorted(set(re.findall(r'(?:src|href)="\./(assets/[^"]+|static/[^"]+|theme\.css[^"]*)"', page.text))):
            said.append(told(await client.get(f"/{asset}")))
        said.append(told(await client.get("/config"), "body", "content-length"))
        said.append(told(await client.get("/gradio_api/info"), "body"))
    return [*said, await asyncio.to_thread(called, url)]
