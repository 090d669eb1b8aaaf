"""Coroutines that begin before their task does, and go on in it: to them, and to who looks at the task, it is as any other."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import logging
import weakref
from typing import Any

import pytest
from begun_coroutines import Place, setting, spares, warm
from capabilities import counts_references

from socketify.loop.coroutines import StoppedError


@spares
def test_one_task_from_the_first_line_on(run: Any, idle: bool) -> None:
    tasks: list[Any] = []

    async def work() -> None:
        for _ in range(3):
            tasks.append(asyncio.current_task())
            await asyncio.sleep(0)
        await asyncio.sleep(0.001)
        tasks.append(asyncio.current_task())

    async def scenario(place: Place) -> None:
        await warm(place, idle)
        task = await place.begin(work())
        assert task in asyncio.all_tasks()
        assert place.runner.running == {task}
        await place.ended()
        assert tasks == [task] * 4
        await place.turns()
        assert place.ends == [None]
        assert place.runner.running == set()
        assert task.done()
        assert task not in asyncio.all_tasks()

    run(scenario)


@spares
def test_the_loop_turns_where_the_coroutine_lets_it(run: Any, idle: bool) -> None:
    """What was scheduled before ``sleep(0)`` has run behind it."""
    order: list[Any] = []

    async def other(name: str) -> None:
        order.append(name)

    async def work() -> None:
        loop = asyncio.get_running_loop()
        for number in range(3):
            loop.call_soon(order.append, f"callback {number}")
            child = asyncio.ensure_future(other(f"child {number}"))
            await asyncio.sleep(0)
            order.append(f"work {number}")
            await child

    async def scenario(place: Place) -> None:
        await warm(place, idle)
        await place.begin(work())
        await place.ended()
        assert order == [f"{who} {number}" for number in range(3) for who in ("callback", "child", "work")]

    run(scenario)


@spares
def test_context_variables_and_tokens_last_across_waits(run: Any, idle: bool) -> None:
    seen: list[str] = []

    async def work(name: str) -> None:
        token = setting.set(name)
        await asyncio.sleep(0)
        seen.append(setting.get())
        inner = setting.set(f"{name} inside")
        await asyncio.sleep(0.001)
        seen.append(setting.get())
        setting.reset(inner)
        await asyncio.sleep(0)
        setting.reset(token)
        seen.append(setting.get())

    async def scenario(place: Place) -> None:
        await warm(place, idle)
        await place.begin(work("a"))
        await place.begin(work("b"))
        await place.ended(2)
        assert place.ends == [None, None]
        assert sorted(seen) == ["a", "a inside", "b", "b inside", "unset", "unset"]
        assert setting.get() == "unset"

    run(scenario)


@pytest.mark.parametrize(
    "error", [ValueError("wrong"), KeyboardInterrupt(), SystemExit(3), GeneratorExit(), StopAsyncIteration()]
)
@pytest.mark.parametrize("waits", [1, 2])
def test_errors_are_reported_and_end_the_task_quietly(run: Any, error: BaseException, waits: int) -> None:
    async def work() -> None:
        for _ in range(waits):
            await asyncio.sleep(0)
        raise error

    async def scenario(place: Place) -> None:
        task = await place.begin(work())
        await place.ended()
        assert place.ends == [error]
        await place.turns()
        assert task.result() is None
        assert place.runner.running == set()

    run(scenario)


def test_what_a_coroutine_awaits_gives_and_raises(run: Any) -> None:
    async def work() -> None:
        loop = asyncio.get_running_loop()
        for number in range(3):
            future = loop.create_future()
            loop.call_soon(future.set_result, number)
            assert await future == number
            failed = loop.create_future()
            loop.call_soon(failed.set_exception, ValueError(number))
            with pytest.raises(ValueError, match=str(number)):
                await failed
        with pytest.raises(RuntimeError):
            # What is awaited must be a future.
            await Yields(object())  # type: ignore[misc]

    class Yields:
        def __init__(self, value: object) -> None:
            self.value = value

        def __await__(self) -> Any:
            yield self.value

    async def scenario(place: Place) -> None:
        await place.begin(work())
        await place.ended()
        assert place.ends == [None]

    run(scenario)


def test_finish_that_raises_is_reported(run: Any) -> None:
    async def work() -> None:
        await asyncio.sleep(0)

    async def scenario(place: Place) -> None:
        coroutine = work()

        def callback() -> None:
            waits = place.runner.begin(coroutine)
            assert waits is not None
            place.runner.carry_on(coroutine, waits, place.ends.append, finish)

        def finish() -> None:
            raise ValueError("finish")

        place.loop.call_soon(callback)
        await place.ended()
        assert [str(each) for each in place.ends] == ["finish"]
        assert place.runner.running == set()

    run(scenario)


@spares
def test_the_task_shows_the_coroutine(run: Any, idle: bool) -> None:
    gates: list[asyncio.Future[None]] = []

    async def inner() -> None:
        await gates[0]

    async def handler_of_mine() -> None:
        await inner()

    async def scenario(place: Place) -> None:
        await warm(place, idle)
        gates.append(place.loop.create_future())
        task = await place.begin(handler_of_mine())
        for _ in range(3):
            assert "handler_of_mine() running at" in repr(task)
            assert __file__ in repr(task)
            assert [frame.f_code.co_name for frame in task.get_stack()] == ["handler_of_mine"]
            output = io.StringIO()
            task.print_stack(file=output)
            assert "await inner()" in output.getvalue()
            shown = task.get_coro()
            assert asyncio.iscoroutine(shown)
            assert (shown.__name__, shown.cr_code.co_name) == ("handler_of_mine", "handler_of_mine")
            assert shown.__qualname__.endswith("handler_of_mine")
            assert shown.cr_frame.f_code is shown.cr_code
            assert shown.cr_await.cr_code.co_name == "inner"
            assert shown.cr_running is False
            await asyncio.sleep(0)
        with pytest.raises(AttributeError):
            _ = shown.no_such_thing
        with pytest.raises(RuntimeError):
            await shown
        gates[0].set_result(None)
        await place.ended()
        await place.turns()
        assert "handler_of_mine()" in repr(task)
        assert task.get_stack() == []
        with pytest.raises(RuntimeError, match="already awaited"):
            shown.send(None)

    run(scenario)


def test_spare_tasks_can_be_looked_at(run: Any) -> None:
    async def scenario(place: Place) -> None:
        await warm(place, True)
        (spare,) = asyncio.all_tasks() - {asyncio.current_task()}
        assert "pending" in repr(spare)
        assert spare.get_stack() == []
        assert asyncio.iscoroutine(spare.get_coro())

    run(scenario)


def test_debug_mode(run: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def slow_handler() -> None:
        await asyncio.sleep(0)
        asyncio.get_running_loop().slow_callback_duration = 0.0
        await asyncio.sleep(0)

    async def scenario(place: Place) -> None:
        with caplog.at_level(logging.WARNING, "asyncio"):
            await place.begin(slow_handler())
            await place.ended()
        assert place.ends == [None]

    run(scenario, debug=True)


@pytest.mark.parametrize("inner_waits", [False, True])
@pytest.mark.parametrize("outer_waits", [False, True])
def test_one_begins_while_another_runs(run: Any, inner_waits: bool, outer_waits: bool) -> None:
    tasks: dict[str, list[Any]] = {"outer": [], "inner": []}

    async def inner() -> None:
        tasks["inner"].append(asyncio.current_task())
        if inner_waits:
            await asyncio.sleep(0)
            tasks["inner"].append(asyncio.current_task())

    async def outer(place: Place) -> None:
        tasks["outer"].append(asyncio.current_task())
        place.begin_here(inner())
        tasks["outer"].append(asyncio.current_task())
        if outer_waits:
            await asyncio.sleep(0)
            place.begin_here(inner())
            tasks["outer"].append(asyncio.current_task())

    async def scenario(place: Place) -> None:
        await place.begin(outer(place))
        await place.ended(3 if outer_waits else 2)
        assert place.ends == [None] * len(place.ends)
        assert len(set(tasks["outer"])) == 1
        assert not set(tasks["outer"]) & set(tasks["inner"])

    run(scenario)


@counts_references
def test_nothing_is_kept_of_what_has_ended(run: Any) -> None:
    class Request:
        pass

    async def work(request: Request, fails: bool) -> None:
        setting.set("something")
        await asyncio.sleep(0)
        await asyncio.sleep(0.001)
        if fails:
            raise ValueError(request)

    async def scenario(place: Place) -> None:
        gc.collect()
        gc.disable()
        try:
            for fails in (False, True):
                request = Request()
                gone = weakref.ref(request)
                await place.begin(work(request, fails))
                del request
                await place.ended()
                place.ends.clear()
                await place.turns()
                assert gone() is None
        finally:
            gc.enable()

    run(scenario)


@counts_references
def test_a_task_that_is_dropped_closes_what_waits() -> None:
    events: list[Any] = []

    async def work(loop: asyncio.AbstractEventLoop) -> None:
        try:
            await loop.create_future()
        finally:
            events.append("closed")

    def drop() -> None:
        place = Place(asyncio.new_event_loop())
        place.loop.set_exception_handler(lambda _loop, _context: None)
        place.ends = events
        place.loop.run_until_complete(place.begin(work(place.loop)))
        place.runner.take_all()
        place.loop.close()

    drop()
    gc.collect()
    assert events[0] == "closed"
    # The coroutine may have been closed before its task was.
    assert [type(each) for each in events[1:]] in ([StoppedError], [RuntimeError])


MEMBERS = ("context", "coroutine", "finish", "is_pending", "report", "running", "runner", "task", "waker", "yielded")


@pytest.mark.parametrize("name", MEMBERS)
def test_a_program_that_changes_what_it_finds(name: str) -> None:
    """It gets what it asked for, but nobody reads what is not there."""

    async def work() -> None:
        for _ in range(4):
            await asyncio.sleep(0)

    async def change(value: Any) -> None:
        place = Place(asyncio.get_running_loop())
        task = await place.begin(work())
        await place.turns(1)
        shown = task.get_coro()
        setattr(shown, name, value)
        await place.turns(8)
        with contextlib.suppress(AttributeError):
            delattr(shown, name)
        task.cancel()
        await place.turns(4)

    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda _loop, _context: None)
    for value in (None, 1, "text", ..., object()):
        loop.run_until_complete(change(value))
    loop.close()
    gc.collect()
