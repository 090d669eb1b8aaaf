"""A Unix-domain socket. Usage: python examples/unix_socket.py PATH."""

import sys

from socketify import App, AppListenOptions

app = App()
app.get("/", lambda res, _req: res.end("Hello over a Unix-domain socket!"))
app.listen(AppListenOptions(domain=sys.argv[1]), lambda config: print(f"listening on {config.domain}", flush=True))
app.run()
