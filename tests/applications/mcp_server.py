"""A server of the Model Context Protocol, with its official client."""

from __future__ import annotations

import logging
from typing import Any

import httpx
from mcp.client.client import Client
from mcp.server.mcpserver import MCPServer
from transcript import told

logging.basicConfig(level="INFO")
server = MCPServer("adder")


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


app = server.streamable_http_app()


async def drive(url: str) -> list[Any]:
    """Call a tool several times."""
    said: list[Any] = []
    for mode in ("auto", "legacy"):
        async with Client(f"{url}/mcp", mode=mode) as client:
            said.append([tool.name for tool in (await client.list_tools()).tools])
            for number in range(5):
                result = await client.call_tool("add", {"a": number, "b": 1})
                said.append(str(result.content[0]))
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        said += [told(await client.get("/mcp")), told(await client.post("/mcp", json={})), told(await client.get("/none"))]
    return said
