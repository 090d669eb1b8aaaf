"""Coroutine handlers: a handler that waits becomes a task of the event loop."""

import asyncio
import sys

from socketify import App


async def slow(res, req):
    await asyncio.sleep(0.01)
    res.end(f"Hello, {req.get_query('name') or 'World'}!")


app = App()
app.get("/", slow)
app.listen(
    int(sys.argv[1]) if len(sys.argv) > 1 else 3000, lambda config: print(f"listening on port {config.port}", flush=True)
)
app.run()
