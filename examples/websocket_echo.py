"""Sends every message back. Usage: python examples/websocket_echo.py [PORT]; 3000 at first, 0 for any."""

import sys

from socketify import App, CompressOptions

app = App()
app.ws(
    "/*",
    {
        "compression": CompressOptions.SHARED_COMPRESSOR,
        "idle_timeout": 60,
        "message": lambda ws, message, opcode: ws.send(message, opcode, compress=True),
    },
)
app.listen(
    int(sys.argv[1]) if len(sys.argv) > 1 else 3000, lambda config: print(f"listening on port {config.port}", flush=True)
)
app.run()
