"""One coroutine for the whole life of a connection: adds up the numbers it gets.

Usage: python examples/websocket_iteration.py [PORT]; 3000 at first, 0 for any.
"""

import sys

from socketify import App, OpCode


async def connection(ws):
    """Run from the opening to the close."""
    total = 0.0
    async for message in ws:
        try:
            total += float(message)
        except ValueError:
            ws.end(1007, "numbers only")
            break
        ws.send(f"{total:g}", OpCode.TEXT)


app = App()
app.ws("/", {"open": connection})
app.listen(
    int(sys.argv[1]) if len(sys.argv) > 1 else 3000, lambda config: print(f"listening on port {config.port}", flush=True)
)
app.run()
