"""The hello world that the benchmarks measure. Usage: python bench/hello.py [PORT], 0 for any."""

from __future__ import annotations

import sys

from socketify import App, AppListenOptions, Request, Response


def hello(res: Response, _req: Request) -> None:
    """Answers every request with the same text."""
    res.end("Hello, World!")


def main() -> None:
    """Serves until stopped."""
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    app = App()
    app.get("/", hello)
    options = AppListenOptions(port=port, host="127.0.0.1")
    app.listen(options, lambda config: print(f"listening {config.port}", flush=True))
    app.run()


if __name__ == "__main__":
    main()
