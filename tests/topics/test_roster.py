"""What is known of other processes' members, whatever comes late or is lost."""

from __future__ import annotations

from typing import Any, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socketify.topics.roster import Members, PresenceChange, Roster


class Process:
    """A process that tells its members, as :class:`socketify.topics.presence.Presence` does."""

    def __init__(self) -> None:
        self.number = 0
        self.version = 0
        self.members: Members = {}

    def next(self) -> int:
        self.number += 1
        return self.number

    def join(self) -> tuple[Any, ...]:
        name = str(self.next())
        self.members[name] = f"member {name}"
        return self._changed({name: self.members[name]}, [])

    def leave(self) -> tuple[Any, ...]:
        name = next(iter(self.members))
        del self.members[name]
        return self._changed({}, [name])

    def _changed(self, joined: Members, left: list[str]) -> tuple[Any, ...]:
        before, self.version = self.version, self.next()
        after = self.version
        if not self.members:
            self.version = 0
        return before, after, joined, left

    def answer(self) -> tuple[int, Members]:
        return (self.version, dict(self.members)) if self.members else (self.next(), {})


actions = st.lists(st.sampled_from(["join", "join", "leave", "deliver", "lose", "ask", "be_answered", "forget"]), max_size=60)


class World:
    """A process, what is on its way, and what is shown of it."""

    def __init__(self) -> None:
        self.process = Process()
        self.roster = Roster()
        self.shown: Members = {}
        self.told: list[tuple[Any, ...]] = []
        self.answers: list[tuple[int, Members]] = []

    def show(self, change: Optional[PresenceChange]) -> None:
        if change is not None:
            assert not change.joined.keys() & self.shown.keys()
            assert change.left.keys() <= self.shown.keys()
            self.shown.update(change.joined)
            for name in change.left:
                del self.shown[name]

    def join(self) -> None:
        self.told.append(self.process.join())

    def leave(self) -> None:
        if self.process.members:
            self.told.append(self.process.leave())

    def deliver(self) -> None:
        if self.told:
            self.show(self.roster.change("p", *self.told.pop(0)))

    def lose(self) -> None:
        del self.told[:1]

    def ask(self) -> None:
        self.answers.append(self.process.answer())

    def be_answered(self) -> None:
        if self.answers:
            self.show(self.roster.replace("p", *self.answers.pop(0)))

    def forget(self) -> None:
        self.show(self.roster.forget("p"))
        assert not self.shown


@given(actions)
def test_what_is_reported_leads_to_what_is_known(plan: list[str]) -> None:
    world = World()
    for action in plan:
        getattr(world, action)()
    # When nothing is on its way any more, one answer makes everything right.
    while world.told:
        world.deliver()
    world.answers.clear()
    world.ask()
    world.be_answered()
    assert world.shown == world.process.members


def test_processes_do_not_touch_each_other() -> None:
    roster = Roster()
    assert roster.change("a", 0, 1, {"1": "ann"}, []) == ({"1": "ann"}, {})
    assert roster.change("b", 0, 1, {"1": "bob"}, []) == ({"1": "bob"}, {})
    assert roster.versions() == {"a": 1, "b": 1}
    assert roster.forget("a") == ({}, {"1": "ann"})
    assert roster.forget("a") == ({}, {})
    assert roster.change("b", 1, 3, {}, ["1", "2"]) == ({}, {"1": "bob"})


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [(5, 7, ({"6": "new"}, {"4": "old"})), (4, 7, None), (6, 7, None), (3, 4, ({}, {})), (0, 7, ({"6": "new"}, {"4": "old"}))],
)
def test_order(before: int, after: int, expected: Any) -> None:
    roster = Roster()
    roster.replace("p", 5, {"4": "old"})
    assert roster.change("p", before, after, {"6": "new"}, ["4"]) == expected
