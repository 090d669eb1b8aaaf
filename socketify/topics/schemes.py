"""The brokers that come with the package, by the schemes of their URLs."""

from __future__ import annotations

import importlib
import re
from typing import NamedTuple, Optional

from .broker import Broker


class _Kind(NamedTuple):
    module: str
    name: str
    #: The extra that its client comes with.
    extra: Optional[str]


_LOCAL = _Kind("socketify.topics.local_broker", "LocalBroker", None)
_REDIS = _Kind("socketify.topics.redis_broker", "RedisBroker", "redis")
_NATS = _Kind("socketify.topics.nats_broker", "NatsBroker", "nats")
_KINDS = {
    "local": _LOCAL,
    **dict.fromkeys(("redis", "rediss", "valkey", "valkeys", "unix"), _REDIS),
    **dict.fromkeys(("redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"), _REDIS),
    **dict.fromkeys(("nats", "tls"), _NATS),
}


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
    try:
        module = importlib.import_module(kind.module)
    except ModuleNotFoundError as error:
        if kind.extra is None or (error.name or "").startswith("socketify"):
            raise
        message = f'broker {scheme}:// needs the package {error.name}: pip install "socketify[{kind.extra}]"'
        raise ModuleNotFoundError(message, name=error.name) from None
    broker: Broker = getattr(module, kind.name)(url)
    return broker


def without_password(url: str) -> str:
    """Return a URL as it may be shown: without user, password, and query."""
    return re.sub("//.*@", "//", url.partition("?")[0])
