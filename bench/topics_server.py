"""A server of websockets, each subscribed to the topic in its path; a message says in four digits where it is published to."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from socketify import App, OpCode

app = App()


def upgrade(res: Any, req: Any, context: Any) -> None:
    """Take note of the path."""
    res.upgrade(req.get_header("sec-websocket-key"), None, None, context, req.get_url()[1:])


def begin(ws: Any) -> None:
    """Subscribe, unless it only publishes."""
    if ws.get_user_data():
        ws.subscribe(ws.get_user_data())


def on_message(_ws: Any, message: bytes, opcode: OpCode) -> None:
    """Publish."""
    app.publish(message[8:12].decode(), message, opcode)


app.ws("/*", {"idle_timeout": 0, "upgrade": upgrade, "open": begin, "message": on_message})
app.listen(int(sys.argv[1]) if len(sys.argv) > 1 else 0, lambda config: print(f"listening {config.port}", flush=True))
app.run()
