"""The server of the tests, for the fuzzers of websockets."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

_spec = importlib.util.spec_from_file_location(
    "socketify_websocket_server", Path(__file__).resolve().parent.parent / "tests" / "conftest.py"
)
assert _spec is not None
assert _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
Server: Any = _module.Server
