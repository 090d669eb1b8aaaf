"""Mounts applications of other interfaces below a path of an app: what ``app.mount`` does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..app.app import App
from ..app.mount_methods import mount_by
from ..asgi import mount as asgi_mount
from ..asgi.protocol import ASGIApplication, Receive, Scope, Send
from ..system.worker import worker_index
from ..wsgi import mount as wsgi_mount
from ..wsgi.thread_pool import checked_threads
from .base import LIFESPAN_MODES
from .detection import check_interface, detect_interface

_INTERFACES = ("auto", "asgi", "wsgi")


def mount_application(
    app: App,
    prefix: str,
    application: Any,
    *,
    interface: str,
    lifespan: str,
    websocket: bool,
    websocket_options: Mapping[str, Any],
    threads: int,
) -> None:
    """Implement :meth:`socketify.App.mount`."""
    if interface not in _INTERFACES:
        message = f"interface must be one of {', '.join(_INTERFACES)}, not {interface!r}"
        raise ValueError(message)
    if lifespan not in LIFESPAN_MODES:
        message = f"lifespan must be one of {', '.join(LIFESPAN_MODES)}, not {lifespan!r}"
        raise ValueError(message)
    checked_threads(threads)
    found = detect_interface(application) if interface == "auto" else interface
    check_interface(application, found)
    paths = (prefix, prefix + "/*") if prefix else asgi_mount.ALL_PATHS
    behind_proxy = bool(prefix) and app.core.trusts_proxies
    if found == "wsgi":
        served = _below_forwarded_script(application, prefix) if behind_proxy else application
        wsgi_mount.serve_http(app, served, prefix, threads, worker_index() is not None, paths)
    elif found == "asgi":
        state: Scope = {}
        served = _below_forwarded_root(application, prefix) if behind_proxy else application
        asgi_mount.serve_http(app, served, prefix, lifespan, state, paths=paths)
        if websocket:
            asgi_mount.route_websockets(app, served, websocket_options, prefix, state, paths)
    else:
        message = f"mount takes an ASGI or a WSGI application, not {application!r}, which is of the interface {found}"
        raise TypeError(message)


def _below_forwarded_root(application: ASGIApplication, prefix: str) -> ASGIApplication:
    """Return the application for an app whose proxies may have taken a part off the path, in front of the mount point."""

    async def below(scope: Scope, receive: Receive, send: Send) -> None:
        root = scope.get("root_path")
        if root is not None:
            scope["root_path"] = prefix if _begins(prefix, root) else root + prefix
        await application(scope, receive, send)

    return below


def _below_forwarded_script(application: Any, prefix: str) -> Any:
    """Return the application for such an app, see :func:`_below_forwarded_root`."""

    def below(environ: dict[str, Any], start_response: Any) -> Any:
        script = environ["SCRIPT_NAME"]
        if _begins(prefix, script):
            environ["SCRIPT_NAME"] = prefix
            environ["PATH_INFO"] = environ["PATH_INFO"][len(prefix) - len(script) :]
        else:
            environ["SCRIPT_NAME"] = script + prefix
            environ["PATH_INFO"] = environ["PATH_INFO"][len(prefix) :]
        return application(environ, start_response)

    return below


def _begins(prefix: str, root: str) -> bool:
    """Return whether the mount point begins with what proxies say: then they took nothing off, as for every application."""
    return f"{prefix}/".startswith(f"{root}/")


mount_by(mount_application)
