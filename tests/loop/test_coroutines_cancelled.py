"""Coroutines that begin before their task does: whoever cancels them, and whatever ends by time, finds them as any other."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import sys
from typing import Any

import pytest
from begun_coroutines import Place, spares, warm

from socketify.loop.coroutines import StoppedError


@spares
@pytest.mark.parametrize("turns", range(6))
def test_cancellation_at_every_point(run: Any, idle: bool, turns: int) -> None:
    reached: list[int] = []

    async def work() -> None:
        for number in range(3):
            reached.append(number)
            await asyncio.sleep(0)
        await asyncio.get_running_loop().create_future()

    async def scenario(place: Place) -> None:
        await warm(place, idle)
        coroutine = work()
        task = await place.begin(coroutine)
        await place.turns(turns)
        assert task.cancel("enough")
        await place.ended()
        (error,) = place.ends
        assert type(error) is asyncio.CancelledError
        assert error.args in {("enough",), ()}
        await place.turns()
        assert task.cancelled()
        assert reached == list(range(len(reached)))
        assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED

    run(scenario)


@spares
def test_cancellation_in_the_turn_in_which_it_begins(run: Any, idle: bool) -> None:
    async def work() -> None:
        await asyncio.sleep(10)

    async def scenario(place: Place) -> None:
        await warm(place, idle)
        tasks: list[Any] = []

        def callback() -> None:
            tasks.append(place.begin_here(work()))
            tasks[0].cancel()

        place.loop.call_soon(callback)
        await place.ended()
        assert [type(each) for each in place.ends] == [asyncio.CancelledError]
        await place.turns()
        assert tasks[0].cancelled()

    run(scenario)


@spares
@pytest.mark.parametrize("waits", [False, True])
def test_a_coroutine_cancels_itself_before_it_waits(run: Any, idle: bool, waits: bool) -> None:
    async def work() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        if waits:
            await asyncio.sleep(0)

    async def harmless() -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(0.001)

    async def scenario(place: Place) -> None:
        await warm(place, idle)
        await place.begin(work())
        await place.ended()
        assert [type(each) for each in place.ends] == [asyncio.CancelledError if waits else type(None)]
        # The next one has nothing to do with that.
        await place.begin(harmless())
        await place.ended(2)
        assert place.ends[1] is None

    run(scenario)


@spares
def test_a_cancellation_may_be_caught(run: Any, idle: bool) -> None:
    async def work() -> None:
        for _ in range(2):
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(10)

    async def scenario(place: Place) -> None:
        await warm(place, idle)
        task = await place.begin(work())
        task.cancel()
        await place.turns()
        assert place.ends == []
        task.cancel()
        await place.ended()
        assert place.ends == [None]
        await place.turns()
        assert task.done()
        assert not task.cancelled()

    run(scenario)


@spares
@pytest.mark.parametrize("before", [0, 1, 2])
def test_time_outs(run: Any, idle: bool, before: int) -> None:
    reached: list[str] = []

    async def work() -> None:
        for _ in range(before):
            await asyncio.sleep(0)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.sleep(10), 0.001)
        reached.append("wait_for")
        if sys.version_info >= (3, 11):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.001):
                    await asyncio.sleep(10)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await asyncio.sleep(10)
            task = asyncio.current_task()
            assert task is not None
            assert task.cancelling() == 0
        await asyncio.sleep(0)
        reached.append("end")

    async def scenario(place: Place) -> None:
        await warm(place, idle)
        await place.begin(work())
        await place.ended()
        assert place.ends == [None]
        assert reached == ["wait_for", "end"]

    run(scenario)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="since CPython 3.11")
@spares
def test_task_groups(run: Any, idle: bool) -> None:
    done: list[Any] = []

    async def child(fails: bool) -> None:
        await asyncio.sleep(0.001)
        if fails:
            raise ValueError("child")
        done.append("child")

    async def work(fails: bool) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(child(fails))
            group.create_task(child(False))
            await asyncio.sleep(10 if fails else 0)
        done.append("group")

    async def scenario(place: Place) -> None:
        await warm(place, idle)
        await place.begin(work(False))
        await place.ended()
        assert done == ["child", "child", "group"]
        await place.begin(work(True))
        await place.ended(2)
        assert type(place.ends[1]).__name__ == "ExceptionGroup"

    run(scenario)


@spares
def test_a_stop_is_no_failure(run: Any, idle: bool) -> None:
    async def work() -> None:
        await asyncio.sleep(10)

    async def scenario(place: Place) -> None:
        await warm(place, idle)
        await place.begin(work())
        tasks = place.runner.take_all()
        for task in tasks:
            task.cancel()
        await place.ended()
        assert [type(each) for each in place.ends] == [StoppedError]
        await place.turns()
        assert all(task.cancelled() for task in tasks)

    run(scenario)


def test_who_cancels_all_tasks_leaves_the_next_ones_alone(run: Any) -> None:
    async def work() -> None:
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            if "main" not in repr(task):
                task.cancel()

    async def waits() -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(0.001)

    async def inside(place: Place) -> None:
        await asyncio.sleep(0)
        await work()
        place.begin_here(waits())

    async def scenario(place: Place) -> None:
        await warm(place, True)
        await place.begin(inside(place))
        await place.ended(2)
        await place.begin(waits())
        await place.ended(3)
        assert place.ends == [None] * 3

    run(scenario)
