"""What every request goes through."""

from __future__ import annotations

from socketify import App


def test_methods_of_the_core_are_found_the_fast_way() -> None:
    # From 30 attributes on, CPython 3.11 keeps those of an object in a table of its own and looks for its methods at each call:
    # every coroutine of a handler took 290 instructions more.
    app = App(request_id=True, trusted_proxies=["127.0.0.1"], accept_proxy_protocol=True)
    assert len(vars(app.core)) < 30
    app.close()
