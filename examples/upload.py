"""A form with a file. Large files go to disk as they come."""

import sys

from socketify import App


async def upload(res, req):
    form = await res.get_form(req, max_file_size=10_000_000)
    if form is None:
        return
    with form:
        file = form.get_file("file")
        res.send({"title": form.get("title"), "bytes": file.size if file else 0})


app = App()
app.post("/", upload)
app.listen(
    int(sys.argv[1]) if len(sys.argv) > 1 else 3000, lambda config: print(f"listening on port {config.port}", flush=True)
)
app.run()
