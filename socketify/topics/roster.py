"""Who is on a topic in other processes, as these tell it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

#: Those who are on a topic: what is public of each, by a name that its process gives to nobody else.
Members = dict[str, Any]


class PresenceChange(NamedTuple):
    """Who came to a topic, and who left it."""

    joined: Members
    left: Members


class _Told:
    __slots__ = ("members", "version")

    def __init__(self) -> None:
        #: Grows with every change in the process.
        self.version = 0
        self.members: Members = {}


class Roster:
    """What the other processes told about one topic.

    A process tells changes, each with the versions before and after it, and, when it is asked, all members with a version. Both
    may come late, or never: the version says what is older, and whether something is missing. Version 0 stands for nobody.
    """

    def __init__(self) -> None:
        self._told: dict[str, _Told] = {}

    def versions(self) -> dict[str, int]:
        """Return what is known of each process."""
        return {process: told.version for process, told in self._told.items()}

    def members(self) -> list[Any]:
        """Return what is public of all members."""
        return [value for told in self._told.values() for value in told.members.values()]

    def change(self, process: str, before: int, after: int, joined: Members, left: list[str]) -> Optional[PresenceChange]:
        """Take a change; return what is new, or None if something is missing before it."""
        told = self._told.get(process)
        known = told.version if told is not None else 0
        if known and after <= known:
            return PresenceChange({}, {})
        if not before:
            return self._set(process, after, joined)
        if before != known:
            return None
        assert told is not None
        gone = {name: told.members.pop(name) for name in left if name in told.members}
        told.members.update(joined)
        told.version = after
        return PresenceChange(joined, gone)

    def replace(self, process: str, version: int, members: Members) -> PresenceChange:
        """Take all members of a process; return what is new."""
        told = self._told.get(process)
        if told is not None and version < told.version:
            return PresenceChange({}, {})
        return self._set(process, version, members)

    def forget(self, process: str) -> PresenceChange:
        """Take note that a process is gone; return who left with it."""
        told = self._told.pop(process, None)
        return PresenceChange({}, told.members if told is not None else {})

    def _set(self, process: str, version: int, members: Members) -> PresenceChange:
        told = self._told.setdefault(process, _Told())
        change = PresenceChange(_without(members, told.members), _without(told.members, members))
        told.version, told.members = version, dict(members)
        return change


def _without(members: Members, others: Mapping[str, Any]) -> Members:
    return {name: value for name, value in members.items() if name not in others}
