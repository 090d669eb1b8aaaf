"""Import paths of the published package. Import these from :mod:`socketify`."""

from __future__ import annotations

import os
from typing import Union

from .app.app import App
from .app.middleware import middleware
from .app.routers import DecoratorRouter, MiddlewareRouter
from .http.files import is_inside, sendfile

__all__ = [
    "DecoratorRouter",
    "MiddlewareRouter",
    "async_middleware",
    "in_directory",
    "middleware",
    "sendfile",
    "static_route",
    "sync_middleware",
]

#: One function makes chains of both kinds.
sync_middleware = async_middleware = middleware


def in_directory(file: Union[str, os.PathLike[str]], directory: Union[str, os.PathLike[str]]) -> bool:
    """Return whether a file lies inside a directory, wherever links lead to."""
    return is_inside(os.path.realpath(file), os.path.realpath(directory))


def static_route(app: App, route: str, directory: Union[str, os.PathLike[str]]) -> None:
    """Serve the files of a directory, as :meth:`socketify.App.static` does."""
    app.static(route, directory)
