"""Applications of other interfaces, below a path of an app."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Callable, Optional, TypeVar

Self = TypeVar("Self", bound="MountMethods")

#: Mounts an application; see :meth:`MountMethods.mount` for what it gets, by name.
Mounter = Callable[..., None]

_PREFIX = re.compile(r"(/[A-Za-z0-9._~!$&'()+,;=@-]+)*")
_mounters: list[Mounter] = []


def mount_by(mounter: Mounter) -> None:
    """Let a function mount applications: the interfaces know apps, and apps do not know interfaces."""
    _mounters[:] = [mounter]


class MountMethods:
    """The method of an app that mounts applications."""

    def mount(
        self: Self,
        prefix: str,
        application: Any,
        *,
        interface: str = "auto",
        lifespan: str = "auto",
        websocket: bool = True,
        websocket_options: Optional[Mapping[str, Any]] = None,
        threads: int = 1,
    ) -> Self:
        """Serve an ASGI or WSGI application below a path, beside the routes of the app, which go before it.

        The application sees the path as its ``root_path``, or SCRIPT_NAME.

        Args:
            prefix: as ``/api``; ``/`` or nothing for everything that no route takes.
            application: an ASGI 3 or WSGI application.
            interface: ``asgi``, ``wsgi``, or ``auto`` to look which it is.
            lifespan: ``auto``, ``on`` or ``off``: whether an ASGI application is notified of start and shutdown.
            websocket: whether an ASGI application gets the websockets below the path.
            websocket_options: options of :meth:`socketify.App.ws` for them, without handlers.
            threads: of a WSGI application: 1 calls it in the loop's thread, more in a pool of that many threads.

        Raises:
            TypeError: the application has none of these interfaces, or an option is unknown.
            ValueError: an argument is out of range; the message names it.

        """
        if not isinstance(prefix, str) or _PREFIX.fullmatch(prefix.rstrip("/")) is None:
            message = f"prefix must be a path as '/api', without parameters and escapes, not {prefix!r}"
            raise ValueError(message)
        _mounters[0](
            self,
            prefix.rstrip("/"),
            application,
            interface=interface,
            lifespan=lifespan,
            websocket=websocket,
            websocket_options=websocket_options or {},
            threads=threads,
        )
        return self
