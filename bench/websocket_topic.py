"""A server with one topic: every connection subscribes, and what one sends is published to all."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from socketify import App

app = App()
app.ws(
    "/",
    {
        "idle_timeout": 0,
        "open": lambda ws: ws.subscribe("topic"),
        "message": lambda _ws, message, opcode: app.publish("topic", message, opcode),
    },
)
app.listen(int(sys.argv[1]) if len(sys.argv) > 1 else 0, lambda config: print(f"listening {config.port}", flush=True))
app.run()
