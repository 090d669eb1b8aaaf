"""A large body of known size, as fast as the client reads and no faster."""

import sys

from socketify import App

SIZE = 50 * 1024 * 1024
PIECE = bytes(256 * 1024)


async def download(res, _req):
    for _ in range(SIZE // len(PIECE)):
        _ok, done = await res.send_chunk(PIECE, SIZE)
        if done:
            break


app = App()
app.get("/", download)
app.listen(
    int(sys.argv[1]) if len(sys.argv) > 1 else 3000, lambda config: print(f"listening on port {config.port}", flush=True)
)
app.run()
