"""What an app's broker did."""

from __future__ import annotations

from typing import NamedTuple


class BrokerCounters(NamedTuple):
    """What was published to other processes and came from them, since the app is served; all 0 without a broker."""

    #: Messages that were published here.
    published: int = 0
    #: Messages of other processes that were delivered here, however many websockets got each.
    delivered: int = 0
    #: Messages that were published here and are lost to some or all other processes.
    lost: int = 0
    #: How often the connection to the broker was lost and made again.
    reconnects: int = 0
    #: Seconds that the last message waited until the broker had it, or that one waits already if that is longer.
    lag: float = 0.0
