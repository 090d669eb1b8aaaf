"""What the embedded broker leaves behind: in its directory, and in children of its process."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from socketify.topics.brokers.local_broker import LocalBroker
from socketify.topics.brokers.local_directory import LocalDirectory, make_directory, remove_directory


async def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Path:
    made = make_directory()
    monkeypatch.setattr("tempfile.tempdir", str(made))
    yield made
    for each in made.iterdir():
        remove_directory(each)
    made.rmdir()


def test_directories_of_killed_programs_are_removed(temporary: Path) -> None:
    dead, alive, empty, unfinished, other = (make_directory() for _ in range(5))
    LocalDirectory(dead).listen().close()
    LocalDirectory(alive).listen().close()
    listening = LocalDirectory(alive).listen()
    (unfinished / ".1-2.topics").touch()
    (other / "file").touch()
    new = make_directory()
    assert set(temporary.iterdir()) == {alive, empty, unfinished, other, new}
    listening.close()
    for each in (unfinished / ".1-2.topics", other / "file"):
        each.unlink()


def test_the_last_one_removes_the_directory_of_a_dead_supervisor(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = LocalDirectory(temporary), LocalDirectory(temporary)
    listening = [each.listen() for each in (one, two)]
    monkeypatch.setattr("os.getppid", lambda: 1)
    one.leave()
    assert temporary.exists()
    two.leave()
    assert not temporary.exists()
    for each in listening:
        each.close()
    temporary.mkdir()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_of_a_fork_does_not_keep_its_dead_parent_alive(temporary: Path) -> None:
    async def be_member() -> None:
        broker = LocalBroker(f"local://{temporary}")
        await broker.connect(print)
        await until(lambda: broker._inlets)
        child = os.fork()
        if child == 0:
            await broker.close()
            time.sleep(60)  # noqa: ASYNC251
            os._exit(0)
        await broker.subscribe([str(child)])
        await asyncio.sleep(60)

    async def run() -> None:
        broker = LocalBroker(f"local://{temporary}")
        await broker.connect(print)
        await until(lambda: broker._inlets and broker._interests._peers_of)
        (name,) = broker._links
        grandchild = int(next(iter(broker._interests._peers_of)))
        try:
            # The parent is a member still.
            assert (temporary / name).exists()
            await broker.wait_until_known()
            os.kill(parent, signal.SIGKILL)
            await until(lambda: not broker._links and not (temporary / name).exists())
        finally:
            os.kill(grandchild, signal.SIGKILL)
            await broker.close()

    parent = os.fork()
    if parent == 0:
        try:
            asyncio.run(be_member())
        finally:
            os._exit(1)
    asyncio.run(run())
    os.waitpid(parent, 0)
