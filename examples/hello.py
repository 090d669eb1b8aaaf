"""Hello, World! Usage: python examples/hello.py [PORT]; 3000 at first, 0 for any."""

import sys

from socketify import App

app = App()
app.get("/", lambda res, _req: res.end("Hello, World!"))
app.listen(int(sys.argv[1]) if len(sys.argv) > 1 else 3000, lambda config: print(f"listening on port {config.port}"))
app.run()
