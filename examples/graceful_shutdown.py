"""Start and stop: SIGINT and SIGTERM let requests in flight finish."""

import asyncio
import sys

from socketify import App

app = App(shutdown_timeout=10)


@app.on_start
async def start():
    print("starting")


@app.on_shutdown
async def stop():
    print("stopped", flush=True)


async def slow(res, req):
    await asyncio.sleep(0.5)
    res.end("finished")


app.get("/", slow)
app.listen(
    int(sys.argv[1]) if len(sys.argv) > 1 else 3000, lambda config: print(f"listening on port {config.port}", flush=True)
)
app.run()
