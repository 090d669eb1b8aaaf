"""The websocket server that the benchmarks measure: /echo answers, /broadcast publishes to all its connections.

Usage: python bench/websocket_server.py [PORT], 0 for any.
"""

from __future__ import annotations

import sys

from socketify import App, AppListenOptions, OpCode, WebSocket

TOPIC = "broadcast"


def echo(ws: WebSocket, message: str | bytes, opcode: OpCode) -> None:
    """Sends every message back."""
    ws.send(message, opcode)


def main() -> None:
    """Serves until stopped."""
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    app = App()

    def publish(_ws: WebSocket, message: str | bytes, opcode: OpCode) -> None:
        app.publish(TOPIC, message, opcode)

    # As the ceiling has them: the engine's own backpressure limit.
    options = {"max_backpressure": 64 * 1024}
    app.ws("/echo", {**options, "message": echo})
    app.ws("/broadcast", {**options, "open": lambda ws: ws.subscribe(TOPIC), "message": publish})
    address = AppListenOptions(port=port, host="127.0.0.1")
    app.listen(address, lambda config: print(f"listening {config.port}", flush=True))
    app.run()


if __name__ == "__main__":
    main()
