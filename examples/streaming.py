"""A body of unknown length, piece by piece."""

import asyncio
import sys

from socketify import App


async def count(res, _req):
    res.write_header("Content-Type", "text/plain")
    for number in range(5):
        res.write(f"{number}\n")
        await asyncio.sleep(0.01)
    res.end()


app = App()
app.get("/", count)
app.listen(
    int(sys.argv[1]) if len(sys.argv) > 1 else 3000, lambda config: print(f"listening on port {config.port}", flush=True)
)
app.run()
