"""Routes the requests of an app to a WSGI application."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Callable

from ..native import capabilities
from ..system.serving_threads import serving_threads
from .application import WSGIApplication
from .direct import DirectRoute
from .environ import base_environ, environ_builder, with_forwarded_scheme, with_proxy_facts
from .loop_exchange import loop_callback, loop_request
from .thread_pool import ThreadPool
from .threaded_exchange import threaded_callback, threaded_request

if TYPE_CHECKING:
    from ..app.app import App


def serve_http(
    app: App,
    application: Callable[..., Any],
    root_path: str,
    threads: int = 1,
    multiprocess: bool = False,
    paths: Sequence[str] = ("/*",),
) -> None:
    """Route requests that no route took before, all of them by default, to a WSGI application.

    Args:
        app: the app.
        application: takes environ and start_response.
        root_path: where it is mounted.
        threads: 1 to call it in the loop's thread; more for a pool.
        multiprocess: whether other processes run it, too.
        paths: the patterns of their paths.

    """
    core = app.core
    scheme = "https" if app.is_secure else "http"
    base = base_environ(scheme, root_path, threads > 1 or serving_threads() > 1, multiprocess)
    shared = WSGIApplication(core, application)
    pool = None
    if threads > 1:
        pool = ThreadPool(core, threads)
        app.on_start(pool.start)
        app.on_shutdown(pool.stop)
    if capabilities.c_api:
        take = loop_request(shared) if pool is None else threaded_request(shared, pool)
        DirectRoute(shared, base, take, everything=pool is not None).route(paths)
        return
    build = environ_builder(base)
    if core.trusts_proxies or core.reads_proxy_headers:
        build = with_forwarded_scheme(build, scheme)
    if core.reads_proxy_headers:
        build = with_proxy_facts(build)
    callback = loop_callback(shared, build) if pool is None else threaded_callback(shared, pool, build)
    for path in paths:
        core.route("*", path, callback)
