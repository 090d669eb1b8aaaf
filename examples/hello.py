"""Hello, World! Usage: python examples/hello.py [PORT]; 3000 at first, 0 for any."""

import sys

from socketify import App

app = App()
app.get("/", lambda res, _req: res.end("Hello, World!"))
port = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
app.listen(port, lambda config: print(f"listening on port {config.port}", flush=True))
app.run()
