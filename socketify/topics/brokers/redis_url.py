"""What a URL of Redis or Valkey says: where the servers are, how to speak to them, and names of channels."""

from __future__ import annotations

import re
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlencode

from redis.asyncio.connection import Connection, parse_url
from redis.exceptions import RedisError

from .patience import Patience

_SCHEME = re.compile(r"(?P<name>redis|valkey)(?P<tls>s?)(\+(?P<kind>sentinel|cluster))?|unix", re.IGNORECASE)
_PORTS = {"sentinel": 26379, "cluster": 6379}
#: What the broker decides: other values would break what it promises.
_DECIDED = (
    "socket_timeout",
    "socket_connect_timeout",
    "retry_on_timeout",
    "health_check_interval",
    "protocol",
    "legacy_responses",
)

Address = tuple[str, int]


class RedisURL(NamedTuple):
    """What a URL says."""

    #: "single", "sentinel" or "cluster".
    kind: str
    #: Of sentinels, or of some nodes of a cluster; empty for one server.
    addresses: tuple[Address, ...]
    #: The class of connections, and its arguments but for addresses of ``addresses``.
    connection_class: type[Connection]
    arguments: dict[str, Any]
    #: What sentinels are told in place of user and password of the server.
    sentinel_arguments: dict[str, Any]
    #: The name that sentinels know the server by.
    service: str
    #: What names of channels begin with.
    prefix: bytes
    patience: Patience
    #: For messages: without user, password, and options.
    shown: str

    @classmethod
    def parse(cls, url: str) -> RedisURL:
        """Return what a URL says.

        Raises:
            ValueError: something in it is wrong.

        """
        scheme, _, rest = url.partition("://")
        found = _SCHEME.fullmatch(scheme)
        if found is None:
            raise ValueError(f"{scheme}:// is no scheme of Redis or Valkey")
        kind = (found["kind"] or "single").lower()
        place, _, query = rest.partition("?")
        options = dict(parse_qsl(query, keep_blank_values=True))
        prefix = options.pop("prefix", "").encode()
        patience = Patience.take(options)
        names = ("username", "password") if kind == "sentinel" else ()
        sentinel = {name: options.pop(f"sentinel_{name}") for name in names if f"sentinel_{name}" in options}
        for name in options.keys() & set(_DECIDED):
            raise ValueError(f"the URL of a broker cannot have the option {name}")
        addresses: tuple[Address, ...] = ()
        service = "mymaster"
        if kind != "single":
            place, _, path = place.partition("/")
            user, at, hosts = place.rpartition("@")
            addresses = tuple(_address(each, _PORTS[kind]) for each in hosts.split(","))
            if kind == "sentinel":
                name, _, path = path.partition("/")
                service = unquote(name) or service
            place = f"{user}{at}localhost/{path}"
        plain = "unix" if found["name"] is None else f"redis{found['tls'].lower()}"
        arguments: dict[str, Any] = dict(parse_url(f"{plain}://{place}?{urlencode(options)}"))
        if plain == "unix" and not arguments.get("path"):
            raise ValueError("unix:// needs the path of a socket")
        connection_class = arguments.pop("connection_class", Connection)
        _check(connection_class, arguments)
        if addresses:
            arguments = {name: value for name, value in arguments.items() if name not in ("host", "port")}
        shown = f"{scheme.lower()}://{rest.partition('?')[0].rpartition('@')[2]}"
        return cls(kind, addresses, connection_class, arguments, sentinel, service, prefix, patience, shown)


def _address(text: str, default: int) -> Address:
    found = re.fullmatch(r"(\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[^:\[\]]+))(:(?P<port>\d{1,5}))?", text)
    if found is None:
        raise ValueError(f"the broker's URL must have host:port,host:port, not {text!r}")
    return unquote(found["six"] or found["name"]), int(found["port"] or default)


def _check(connection_class: type[Connection], arguments: dict[str, Any]) -> None:
    """Raise ValueError for options that the client does not know."""
    try:
        connection_class(**arguments)
    except TypeError as error:
        name = re.search(r"argument '(\w+)'", str(error))
        raise ValueError(f"the broker's URL has an option that is unknown: {name[1] if name else error}") from None
    except RedisError as error:
        raise ValueError(f"the broker's URL is wrong: {error}") from None
