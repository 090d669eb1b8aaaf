"""What the package believes of the interpreter, for tests of how it does with less."""

from __future__ import annotations

import sys

import pytest

from socketify.native import capabilities


def lack(monkeypatch: pytest.MonkeyPatch, **less: bool) -> None:
    """Let what is made from now on do without some of it: ``lack(monkeypatch, members=False)``."""
    believed = capabilities._replace(**less)
    for name, module in list(sys.modules.items()):
        if name.startswith("socketify.") and getattr(module, "capabilities", None) is capabilities:
            monkeypatch.setattr(module, "capabilities", believed)
