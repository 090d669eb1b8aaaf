"""Another JSON serializer than the standard library's."""

import sys

import ujson

from socketify import App


async def echo(res, req):
    res.end(await res.get_json())


app = App()
app.json_serializer(ujson)
app.get("/", lambda res, _req: res.end({"message": "Hello, World!"}))
app.post("/", echo)
app.listen(
    int(sys.argv[1]) if len(sys.argv) > 1 else 3000, lambda config: print(f"listening on port {config.port}", flush=True)
)
app.run()
