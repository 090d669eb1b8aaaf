"""A template engine behind res.render."""

import sys
import tempfile
from pathlib import Path

from socketify import App, Jinja2Template

folder = Path(tempfile.mkdtemp())
(folder / "hello.html").write_text("<h1>Hello, {{ name }}!</h1>")

app = App()
app.template(Jinja2Template(folder))
app.get("/", lambda res, req: res.render("hello.html", name=req.get_query("name")))
app.listen(
    int(sys.argv[1]) if len(sys.argv) > 1 else 3000, lambda config: print(f"listening on port {config.port}", flush=True)
)
app.run()
