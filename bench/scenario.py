"""What a scenario is: one behaviour of several servers under several loads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Union

from clients import GET, Request
from http2_loads import Http2, Http2Download, OpenStreams
from loads import Download, Growth, Http, Idle, IdleConnections, Paced, Waiting, WebSocket
from programs import Program

Load = Union[Http, Paced, WebSocket, Download, Idle, IdleConnections, Waiting, Growth, Http2, Http2Download, OpenStreams]

#: Of the loads that targets are about: the machine stops now and then, and what one turn loses by that the others show.
TURNS = 4
#: Rounds of what is measured in many rows: three times four turns.
ROW_ROUNDS = 3


@dataclass(frozen=True)
class Scenario:
    """One behaviour of several servers under several loads.

    ``answer_bytes`` is how long the right answer is, where the request does not tell what it is. ``most_rounds`` is for what
    needs no more of them, ``redis`` for what needs a database. Each load of an ``application`` is a row of the first table.
    """

    key: str
    title: str
    about: str
    behaviour: str
    loads: Sequence[Load]
    programs: Sequence[Program]
    request: Request = GET
    answer_bytes: int = 13
    most_rounds: int = 0
    redis: bool = False
    application: str = ""
    #: What is told the version of, beside the servers.
    packages: tuple[str, ...] = ()

    def rounds(self, wanted: int) -> int:
        """Returns how many rounds there are when so many are wanted."""
        return min(wanted, self.most_rounds or wanted)

    def request_of(self, load: Load) -> Request:
        """Returns what a load asks for."""
        return (load.request if isinstance(load, (Http, Http2, Http2Download)) else None) or self.request
