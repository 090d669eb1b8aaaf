"""Servers for applications that are written for other interfaces: ASGI, WSGI and SSGI."""

from .server import InterfaceServer

__all__ = ["InterfaceServer"]
