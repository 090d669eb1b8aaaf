"""The brokers that come with the package, by the schemes of their URLs."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import threading
from collections.abc import Iterator
from typing import NamedTuple, Optional, Union

from ..broker import Broker


class _Kind(NamedTuple):
    module: str
    name: str
    #: The extra that its client comes with.
    extra: Optional[str]


_LOCAL = _Kind("socketify.topics.brokers.local_broker", "LocalBroker", None)
_REDIS = _Kind("socketify.topics.brokers.redis_broker", "RedisBroker", "redis")
_NATS = _Kind("socketify.topics.brokers.nats_broker", "NatsBroker", "nats")
_KINDS = {
    "local": _LOCAL,
    **dict.fromkeys(("redis", "rediss", "valkey", "valkeys", "unix"), _REDIS),
    **{f"{name}+{kind}": _REDIS for kind in ("sentinel", "cluster") for name in ("redis", "rediss", "valkey", "valkeys")},
    **dict.fromkeys(("nats", "tls"), _NATS),
}


# What the supervisor gives its workers: at most one.
_default: list[str] = []
# What apps get that a thread makes.
_here = threading.local()


def use_by_default(url: str) -> None:
    """Let apps of this process that name no broker use one, unless SOCKETIFY_BROKER names another."""
    _default[:] = [url]


@contextlib.contextmanager
def default_of_thread(url: Optional[str]) -> Iterator[None]:
    """Let what the calling thread makes meanwhile use a broker as by :func:`use_by_default`; None changes nothing.

    Other apps of the process, which have nothing to do with these, do not.
    """
    before = _default_of_thread()
    _here.url = url or before
    try:
        yield
    finally:
        _here.url = before


def _default_of_thread() -> Optional[str]:
    found: Optional[str] = getattr(_here, "url", None)
    return found


def default_broker() -> Optional[str]:
    """Return the URL of the broker of apps that name none, or None."""
    return os.environ.get("SOCKETIFY_BROKER") or _default_of_thread() or next(iter(_default), None)


def is_chosen(given: Union[str, Broker, None]) -> bool:
    """Return whether somebody asked for the broker of an app that is given this one, rather than its worker's supervisor."""
    return given is not None or bool(os.environ.get("SOCKETIFY_BROKER"))


def open_broker(url: str) -> Broker:
    """Return a broker, not yet connected, for a URL.

    Raises:
        TypeError: the URL is not str.
        ValueError: its scheme is unknown, or something else in it is wrong.
        ModuleNotFoundError: the package of its client is not installed; the message says how to install it.

    """
    if not isinstance(url, str):
        message = f"broker must be a URL or a Broker, not {type(url).__name__}"
        raise TypeError(message)
    scheme, separator, _ = url.partition("://")
    kind = _KINDS.get(scheme.lower()) if separator else None
    if kind is None:
        message = f"broker must be a URL that begins with one of {', '.join(_KINDS)} and ://, not {without_password(url)!r}"
        raise ValueError(message)
    if re.match(r"[^?]*\?[^=@]*@", url):
        # Its rest would be taken for an option, and shown.
        raise ValueError("a question mark in the password of the broker's URL must be written as %3F")
    try:
        module = importlib.import_module(kind.module)
    except ModuleNotFoundError as error:
        if kind.extra is None or (error.name or "").startswith("socketify"):
            raise
        message = f'broker {scheme}:// needs the package {error.name}: pip install "socketify[{kind.extra}]"'
        raise ModuleNotFoundError(message, name=error.name) from None
    broker: Broker = getattr(module, kind.name)(url)
    return broker


def find_broker(given: Union[str, Broker, None]) -> Optional[tuple[Broker, str]]:
    """Return the broker of an app, and what it is called in messages; None for none.

    Args:
        given: a URL, a broker, None for the default, or ``"none"``.

    Raises:
        TypeError, ValueError, ModuleNotFoundError: see :func:`open_broker`.

    """
    url = default_broker() if given is None else given
    if url is None or url == "none":
        return None
    if isinstance(url, str):
        return open_broker(url), f"the broker {without_password(url)}"
    for name in ("echoes", "connect", "wait_until_lost", "publish", "flush", "subscribe", "unsubscribe", "close"):
        if not hasattr(url, name):
            message = f"broker must be a URL or a Broker: {type(url).__name__} has no {name}"
            raise TypeError(message)
    return url, f"the broker {type(url).__name__}"


def without_password(url: str) -> str:
    """Return a URL as it may be shown: without user, password, and query."""
    # First of all the password, which may have a question mark.
    return re.sub("//.*@", "//", url, flags=re.DOTALL).partition("?")[0]
