"""Hello world, with or without extensions. Usage: extensions_server.py with|without PORT."""

from __future__ import annotations

import sys
from typing import Any

from socketify import App


def extension(request: Any, response: Any, _ws: Any) -> None:
    """Add what an application may add."""
    for number in range(10):
        request.property(f"property_{number}", [])

        def method(self: Any) -> Any:
            return self

        method.__name__ = f"method_{number}"
        response.method(method)


app = App()
if sys.argv[1] == "with":
    app.register(extension)
app.get("/", lambda res, _req: res.end("Hello, World!"))
app.listen(int(sys.argv[2]), lambda config: print(f"listening {config.port}", flush=True))
app.run()
