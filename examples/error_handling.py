"""One place for what goes wrong."""

import sys

from socketify import App, HTTPError

app = App()


@app.on_error
def report(error, res, req):
    if res is not None:
        status = error.status_code if isinstance(error, HTTPError) else 500
        res.send({"error": str(error)}, status=status)


def fail(res, req):
    raise HTTPError(402, "pay first")


async def divide(res, req):
    res.end(1 / int(req.get_parameter(0)))


app.get("/pay", fail)
app.get("/divide/:by", divide)
app.any("/*", lambda res, _req: res.send({"error": "no such page"}, status=404))
app.listen(
    int(sys.argv[1]) if len(sys.argv) > 1 else 3000, lambda config: print(f"listening on port {config.port}", flush=True)
)
app.run()
