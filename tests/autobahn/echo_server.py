"""The echo server that the Autobahn cases run against, in a process of its own. Prints its port."""

from __future__ import annotations

from typing import Any

from socketify import App, AppListenOptions, CompressOptions, OpCode, WebSocket


def echo(ws: WebSocket, message: Any, opcode: OpCode) -> None:
    ws.send(message, opcode, compress=True)


app = App()
app.ws(
    "/",
    {
        "message": echo,
        "compression": CompressOptions.DEDICATED_COMPRESSOR | CompressOptions.DEDICATED_DECOMPRESSOR,
        "max_payload_length": 32 * 1024 * 1024,
        "max_backpressure": 64 * 1024 * 1024,
        "idle_timeout": 120,
    },
)
app.listen(AppListenOptions(host="127.0.0.1"), lambda config: print(config.port, flush=True))
app.run()
