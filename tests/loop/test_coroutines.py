"""Coroutines that begin before their task does, and go on in it: to them, and to who looks at the task, it is as any other."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import inspect
import io
import logging
import sys
import weakref
from collections.abc import Awaitable, Coroutine
from typing import Any, Callable

import pytest

from socketify.loop.coroutines import CoroutineRunner, StoppedError
from socketify.loop.event_loop import new_event_loop

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop, "usual": new_event_loop}
setting: contextvars.ContextVar[str] = contextvars.ContextVar("setting", default="unset")

Scenario = Callable[["Place"], Awaitable[None]]


class Place:
    """A runner in a loop that runs, begun in as native code does: in callbacks of the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.runner = CoroutineRunner(loop, [])
        #: What the coroutines ended in: what they raised, or None.
        self.ends: list[Any] = []

    async def begin(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Begin a coroutine; returns its task when it waits."""
        begun: asyncio.Future[Any] = self.loop.create_future()

        def callback() -> None:
            begun.set_result(self.begin_here(coroutine))

        self.loop.call_soon(callback, context=contextvars.Context())
        return await begun

    def begin_here(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        try:
            waits = self.runner.begin(coroutine)
        except BaseException as error:
            self.ends.append(error)
            return None
        if waits is None:
            self.ends.append(None)
            return None
        return self.runner.carry_on(coroutine, waits, self.ends.append, lambda: self.ends.append(None))

    async def ended(self, count: int = 1) -> None:
        """Wait until so many have ended."""
        for _ in range(1000):
            if len(self.ends) >= count:
                return
            await asyncio.sleep(0.001)
        pytest.fail(f"only {len(self.ends)} have ended")

    async def turns(self, count: int = 3) -> None:
        for _ in range(count):
            await asyncio.sleep(0)


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Callable[[Scenario], None]:
    def in_loop(scenario: Scenario, debug: bool = False) -> None:
        loop = LOOPS[request.param]()
        loop.set_debug(debug)
        problems: list[Any] = []
        loop.set_exception_handler(lambda _loop, context: problems.append(context))
        place = Place(loop)

        async def main() -> None:
            await scenario(place)
            for task in place.runner.take_all():
                task.cancel()
            await place.turns()

        try:
            loop.run_until_complete(main())
        finally:
            loop.close()
        gc.collect()
        assert problems == []

    return in_loop


async def warm(place: Place, idle: bool) -> None:
    """Leave a spare task behind, new or such that its first turn is over."""
    if idle:

        async def nothing() -> None:
            pass

        await place.begin(nothing())
        await place.turns()
        place.ends.clear()


spares = pytest.mark.parametrize("idle", [False, True], ids=["new spare", "idle spare"])


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
