"""A page that shows who joins: server-sent events, which go on where they were when the connection was lost."""

import asyncio
import sys

from socketify import App

PAGE = """<!doctype html><title>Events</title><ul></ul><script>
new EventSource("/events").onmessage = event =>
  document.querySelector("ul").append(Object.assign(document.createElement("li"), {textContent: event.data}));
</script>"""
app = App()
names: list[str] = []
waiting: set[asyncio.Event] = set()


async def events(res, req):
    async with res.sse(retry=1000) as stream:
        # What a client says may be anything, or be about names of a server before this one.
        last = stream.last_event_id or ""
        seen = int(last) if last.isdecimal() and len(last) < 10 else 0
        if seen > len(names):
            seen = 0
        joined = asyncio.Event()
        waiting.add(joined)
        try:
            while True:
                while seen < len(names):
                    seen += 1
                    await stream.send(names[seen - 1], id=str(seen))
                joined.clear()
                await joined.wait()
        finally:
            waiting.discard(joined)


async def join(res, req):
    names.append(await res.get_text())
    for each in waiting:
        each.set()
    res.send({"number": len(names)}, status=201)


app.get("/", lambda res, _req: res.send(PAGE, "text/html"))
app.get("/events", events)
app.post("/join", join)
app.listen(int(sys.argv[1]) if len(sys.argv) > 1 else 8000, lambda config: print(f"listening on {config.port}", flush=True))
app.run()
