"""A web server and framework for Python on the native core of uWebSockets.

>>> from socketify import App
>>> app = App()
>>> app.get("/", lambda res, req: res.end("Hello, World!"))  # doctest: +ELLIPSIS
<socketify.app.App object at ...>
"""

from .app import App
from .options import AppListenOptions, AppOptions
from .request import Request
from .response import Response

__version__ = "0.1.0"

__all__ = ["App", "AppListenOptions", "AppOptions", "Request", "Response", "__version__"]
