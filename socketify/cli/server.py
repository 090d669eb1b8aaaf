"""From the settings to a server that listens."""

from __future__ import annotations

import argparse
import logging
import os
import random
import sys
from typing import Any, Optional, Union, cast

from ..app.app import App
from ..core.access_log import LogDestination
from ..core.limits import Limits
from ..core.options import AppOptions
from ..process.worker_options import WorkerOptions
from ..server.base import InterfaceServer
from ..server.detection import detect_interface
from ..server.serve import make_server
from ..websocket.constants import CompressOptions
from .arguments import NEEDS_SUPERVISOR, has_supervisor, make_parser
from .compression import compression_of
from .loading import LoadError, call_factory, load

#: Between two looks at the TLS files.
_RELOAD_SECONDS = 5
_WEBSOCKETS_OFF = "none"


def websocket_options(settings: argparse.Namespace) -> dict[str, Any]:
    """Return the options of :meth:`socketify.App.ws` for all websockets."""
    deflate = CompressOptions.SHARED_COMPRESSOR if settings.ws_per_message_deflate else CompressOptions.DISABLED
    return {
        "compression": deflate,
        "max_payload_length": settings.ws_max_size,
        "idle_timeout": settings.ws_idle_timeout,
        "max_lifetime": settings.ws_max_lifetime,
        "max_backpressure": settings.ws_max_backpressure,
        "send_pings_automatically": settings.ws_auto_ping,
        "reset_idle_timeout_on_send": settings.ws_reset_idle_on_send,
        "close_on_backpressure_limit": settings.ws_close_on_backpressure_limit,
    }


def app_options(settings: argparse.Namespace) -> dict[str, Any]:
    """Return the keyword arguments of the server."""
    return {
        "request_response_factory_max_items": settings.req_res_factory_maxitems,
        "websocket_factory_max_items": settings.ws_factory_maxitems,
        "task_factory_max_items": settings.task_factory_maxitems,
        "lifespan": settings.lifespan,
        "http": settings.http,
        "shutdown_timeout": settings.timeout_graceful_shutdown,
        "server_header": {True: "socketify", False: None}.get(settings.server_header, settings.server_header),
        "date_header": settings.date_header,
        "threads": settings.threads,
        "multiprocess": has_supervisor(settings),
        "root_path": settings.root_path,
        "pathsend": settings.pathsend,
        "accept_proxy_protocol": False if settings.proxy_protocol == "off" else settings.proxy_protocol,
        "trusted_proxies": _trusted_proxies(settings),
        "forwarded_headers": settings.forwarded_headers,
        "response_headers": settings.header,
        "request_id": settings.request_id,
        "access_log": None if settings.access_log == "off" else settings.access_log,
        "access_log_file": None if settings.access_log == "off" else _access_log_file(settings),
        "otel": settings.otel,
        "compress_responses": compression_of(settings),
        "broker": settings.broker,
        "broker_required": settings.broker_required,
        "limits": Limits(
            keep_alive_timeout=settings.timeout_keep_alive,
            max_concurrent_requests=settings.limit_concurrency or 0,
            max_connections=settings.limit_max_connections or 0,
            max_streams=settings.limit_max_streams,
            max_body_size=settings.limit_max_body_size,
            max_target_bytes=settings.limit_max_target_bytes,
            max_header_bytes=settings.limit_max_header_bytes,
            max_header_count=settings.limit_max_header_count,
            min_body_rate=settings.limit_min_body_rate,
            header_timeout=settings.timeout_header,
            body_timeout=settings.timeout_body,
            write_timeout=settings.timeout_write,
            response_timeout=settings.timeout_response,
            backlog=settings.backlog,
        ),
    }


def worker_options(settings: argparse.Namespace) -> WorkerOptions:
    """Return how workers are watched, and when they are replaced."""
    timeout = WorkerOptions.timeout if settings.timeout_worker is None else settings.timeout_worker
    return WorkerOptions(
        timeout,
        settings.max_rss,
        settings.worker_lifetime,
        settings.worker_lifetime_jitter,
        start_timeout=settings.timeout_start,
    )


def uds_permissions(settings: argparse.Namespace) -> Optional[int]:
    """Return who may connect to a Unix-domain socket; None for the default."""
    if settings.uds_permissions is None and settings.umask is not None:
        return 0o666 & ~int(settings.umask)
    return cast("Optional[int]", settings.uds_permissions)


def _trusted_proxies(settings: argparse.Namespace) -> Union[str, int, None]:
    if settings.trusted_hops is not None:
        return int(settings.trusted_hops)
    return str(settings.forwarded_allow_ips) if settings.proxy_headers else None


def _access_log_file(settings: argparse.Namespace) -> LogDestination:
    if settings.access_logger is not None:
        return logging.getLogger(settings.access_logger)
    return None if settings.access_log_file is None else str(settings.access_log_file)


def tls_options(settings: argparse.Namespace) -> AppOptions | None:
    """Return the TLS files, or None for plain HTTP."""
    if settings.ssl_certfile is None:
        return None
    return AppOptions(
        key_file_name=settings.ssl_keyfile,
        cert_file_name=settings.ssl_certfile,
        passphrase=settings.ssl_keyfile_password,
        ca_file_name=settings.ssl_ca_certs,
        ssl_ciphers=settings.ssl_ciphers,
        client_certificate=settings.ssl_client_certificate,
        crl_file_name=settings.ssl_crl,
        reload_interval=_RELOAD_SECONDS if settings.ssl_reload else 0,
        minimum_version=settings.ssl_minimum_version,
        maximum_version=settings.ssl_maximum_version,
    )


def build_server(settings: argparse.Namespace) -> Union[InterfaceServer, App]:
    """Import the application and make its server.

    Raises:
        LoadError: there is no such application.
        OSError, TypeError, ValueError: an option is wrong; the message names it.

    """
    application = load(settings.app, settings.app_dir)
    if settings.factory:
        application = call_factory(application, settings.app)
    interface = detect_interface(application) if settings.interface == "auto" else settings.interface
    if settings.otel and interface not in ("socketify", "ssgi"):
        message = "--otel is for applications of socketify and ssgi: those of asgi and wsgi have instrumentations of their own"
        raise LoadError(message)
    websocket = _websocket(settings, interface)
    if isinstance(application, App):
        _refuse_app_options(settings)
        server = make_server(application, interface, websocket=websocket, websocket_options=websocket_options(settings))
    else:
        server = make_server(
            application,
            interface,
            websocket=websocket,
            websocket_options=websocket_options(settings),
            options=tls_options(settings),
            **app_options(settings),
        )
    if settings.limit_max_requests is not None:
        app = server if isinstance(server, App) else server.native_app
        app.close_after(settings.limit_max_requests + random.randint(0, settings.limit_max_requests_jitter))
    return server


def _refuse_app_options(settings: argparse.Namespace) -> None:
    """Raise an error for flags that an existing app object would not follow."""
    defaults = make_parser()
    prefixes = (
        "ssl_",
        "timeout_",
        "limit_",
        "lifespan",
        "http",
        "threads",
        "root_path",
        "pathsend",
        "proxy_",
        "access_",
        "trusted_",
        "forwarded_",
        "header",
        "request_",
        "otel",
        "server_",
        "date_",
        "broker",
        "compress",
    )
    # An app looks for some in the environment itself, and what is off at first needs no change.
    also = {"broker": os.environ.get("SOCKETIFY_BROKER"), "access_log": "off"}
    flags = [
        f"--{name.replace('_', '-')}"
        for name, value in sorted(vars(settings).items())
        if name.startswith(prefixes) and not name.startswith((*NEEDS_SUPERVISOR, "threads_per_worker"))
        if value not in (defaults.get_default(name), also.get(name))
    ]
    if flags:
        message = f"{settings.app} is an App, which has its options already: {', '.join(flags)} cannot change it"
        raise LoadError(message)


def _websocket(settings: argparse.Namespace, interface: str) -> Any:
    if settings.ws == _WEBSOCKETS_OFF:
        return None
    if settings.ws != "auto":
        return load(settings.ws, settings.app_dir)
    if interface != "socketify":
        return "auto"
    # A module of the native interface may define its websockets beside the function.
    module = sys.modules[settings.app.partition(":")[0]]
    beside = getattr(module, "ws", None)
    if beside is not None and not isinstance(beside, dict):
        message = f"{module.__name__}.ws must be a dict of websocket options and handlers"
        raise LoadError(message)
    return beside
