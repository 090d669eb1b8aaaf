"""Which servers a URL of Redis means at the moment: one, the one that sentinels name, or all masters of a cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any, Callable, NamedTuple, Optional

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ResponseError

from ..broker import BrokerError
from .redis_connection import make_connection, within
from .redis_url import Address, RedisURL

#: Slots that a cluster distributes among its nodes.
SLOTS = 16384


class Servers(NamedTuple):
    """Servers, and which one has a channel."""

    #: None is the one of the URL itself.
    addresses: Sequence[Optional[Address]]
    #: The index of the address, for each slot of a cluster.
    slots: Optional[Sequence[int]]


async def find_servers(url: RedisURL) -> Servers:
    """Return the servers that a URL means at the moment.

    Raises:
        BrokerError: those that should know cannot be asked, or do not know.

    """
    if url.kind == "sentinel":
        return await _ask_one(url, _master_of_sentinel)
    if url.kind == "cluster":
        return await _ask_one(url, _slots_of_cluster)
    return Servers([None], None)


def arguments_for(url: RedisURL, address: Optional[Address]) -> dict[str, Any]:
    """Return the arguments of a connection to a server."""
    return url.arguments if address is None else {**url.arguments, "host": address[0], "port": address[1]}


async def _ask_one(url: RedisURL, question: Callable[[RedisURL, Address], Awaitable[Servers]]) -> Servers:
    """Return the first answer of servers that are asked at the same time."""
    asked = [asyncio.ensure_future(question(url, address)) for address in url.addresses]
    reasons = []
    try:
        for answer in asyncio.as_completed(asked):
            try:
                return await answer
            except BrokerError as error:
                reasons.append(str(error))
    finally:
        for each in asked:
            each.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
    raise BrokerError("; ".join(reasons))


async def _master_of_sentinel(url: RedisURL, sentinel: Address) -> Servers:
    arguments = {name: value for name, value in url.arguments.items() if name not in ("username", "password", "db")}
    arguments.update(url.sentinel_arguments, host=sentinel[0], port=sentinel[1])
    found = await _ask(url, arguments, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", url.service)
    if not found:
        raise BrokerError(f"{sentinel[0]}:{sentinel[1]} knows no master of the name {url.service}")
    address = found[0].decode(), int(found[1])
    # One that was just made a replica by a failover hands nothing on.
    role = await _ask(url, arguments_for(url, address), "ROLE")
    if role[0] != b"master":
        raise BrokerError(f"{address[0]}:{address[1]} is no master yet, but {role[0].decode()}")
    return Servers([address], None)


async def _slots_of_cluster(url: RedisURL, node: Address) -> Servers:
    arguments = arguments_for(url, node)
    found = await _ask(url, arguments, "CLUSTER", "SLOTS")
    addresses: list[Optional[Address]] = []
    slots = [-1] * SLOTS
    for first, last, master, *_ in found:
        # A node that does not know its own name is the one that was asked.
        address = (master[0] or b"").decode() or node[0], int(master[1])
        if address not in addresses:
            addresses.append(address)
        slots[first : last + 1] = [addresses.index(address)] * (last + 1 - first)
    if -1 in slots:
        raise BrokerError(f"{node[0]}:{node[1]} is in no whole cluster: no node has slot {slots.index(-1)}")
    return Servers(addresses, slots)


async def _ask(url: RedisURL, arguments: dict[str, Any], *command: str) -> Any:
    connection = make_connection(url.connection_class, **arguments)
    try:
        await within(url.patience.connect_timeout, connection.connect(), connection)
        return await within(url.patience.connect_timeout, _reply(connection, *command), connection)
    except BrokerError as error:
        raise BrokerError(f"{arguments['host']}:{arguments['port']}: {error}") from None
    finally:
        connection.abort()


async def _reply(connection: AbstractConnection, *command: str) -> Any:
    await connection.send_command(*command)
    try:
        return await connection.read_response()
    except ResponseError as error:
        raise BrokerError(str(error)) from None
