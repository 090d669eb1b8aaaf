"""The files of a folder, with conditional and range requests."""

import sys
from pathlib import Path

from socketify import App, sendfile

app = App()
app.static("/examples", Path(__file__).parent, cache_control="max-age=60")
app.get("/source", lambda res, req: sendfile(res, req, __file__))
app.listen(
    int(sys.argv[1]) if len(sys.argv) > 1 else 3000, lambda config: print(f"listening on port {config.port}", flush=True)
)
app.run()
