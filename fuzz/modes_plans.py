"""Follows plans, which are data: what the handlers and applications behind every mode do, and what they saw."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator
from typing import Any, Callable, Optional

from socketify import HTTPError

#: What ``...`` stands for in a plan.
LARGE = b"y" * 300_000
Plan = dict[str, Any]


class Batch:
    """Plans, taken by one request after the other, and a journal for each."""

    def __init__(self, plans: list[Plan]) -> None:
        self._plans = plans
        self._lock = threading.Lock()
        self.journals: list[list[Any]] = []
        self.failures: list[str] = []
        #: Requests that are being served.
        self.busy = 0

    def take(self) -> tuple[Plan, list[Any]]:
        with self._lock:
            number = len(self.journals)
            self.journals.append([])
            plan = self._plans[number] if number < len(self._plans) else {"steps": [], "last": "the end"}
            return plan, self.journals[number]

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        with self._lock:
            self.busy += 1
        try:
            yield
        finally:
            with self._lock:
                self.busy -= 1


current = Batch([])


def begin(plans: list[Plan]) -> None:
    global current  # noqa: PLW0603 - servers run in several threads
    current = Batch(plans)


ERRORS: dict[str, Callable[[], BaseException]] = {
    "an exception": lambda: LookupError("x"),
    "a status": lambda: HTTPError(418, "teapot"),
    "a cancellation": asyncio.CancelledError,
    "a generator's end": GeneratorExit,
    "an exit": lambda: SystemExit(3),
    "an error of the system": lambda: OSError(5, "x"),
}


def filled(value: Any) -> Any:
    if value is ...:
        return LARGE
    if isinstance(value, (tuple, list)):
        return type(value)(map(filled, value))
    return value


def told(value: Any) -> Any:
    """Return a value as it can be compared between processes."""
    if value is None or isinstance(value, (bool, int, str, bytes)):
        return value
    if isinstance(value, (tuple, list)):
        return [told(each) for each in value]
    if isinstance(value, dict):
        return {str(key): told(each) for key, each in value.items()}
    if callable(value):
        return "callable"
    return told(value.getvalue()) if hasattr(value, "getvalue") else type(value).__name__


class NativePlan:
    """A handler of an app."""

    def __init__(self, res: Any, req: Any) -> None:
        self.batch = current
        self.plan, self.journal = self.batch.take()
        self.res, self.req = res, req

    def note(self, *what: Any) -> None:
        self.journal.append(told(what))

    def run(self) -> Any:
        with self.batch.serving():
            for step in self.plan["steps"]:
                self.act(step)
            return self.end()

    async def run_async(self) -> Any:
        with self.batch.serving():
            for step in self.plan["steps"]:
                await self.act_async(step)
            return self.end()

    async def steps(self, steps: Any) -> None:
        with self.batch.serving():
            for step in steps:
                await self.act_async(step)

    def end(self) -> Any:
        last = self.plan["last"]
        if last == "echo":
            self.guarded("end", self.res.end, json.dumps(self.journal, default=repr))
        elif last == "the end":
            self.res.end(b"the end")
        elif last == "raise":
            raise ERRORS[self.plan["error"]]()
        return None

    def guarded(self, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
        if self.plan.get("open"):
            # Whatever it raises is the framework's to handle.
            return function(*arguments)
        try:
            result = function(*arguments)
        except Exception as error:
            self.note(name, type(error).__name__, str(error))
            return None
        if asyncio.iscoroutine(result):
            return result
        self.note(name, "itself" if result is self.res else result)
        return result

    async def act_async(self, step: Any) -> None:
        name, *arguments = step
        if name == "sleep":
            await asyncio.sleep(arguments[0])
        elif name == "fail":
            raise ERRORS[arguments[0]]()
        elif name == "wait for":
            found = self.guarded(arguments[0], getattr(self.res, arguments[0]), *filled(arguments[1:]))
            if found is None:
                return
            try:
                self.note(arguments[0], await found)
            except (Exception, asyncio.CancelledError) as error:
                self.note(arguments[0], type(error).__name__, str(error))
                if self.plan.get("open"):
                    raise
        else:
            self.act(step)

    def act(self, step: Any) -> None:
        name, *arguments = step
        if name == "read":
            self.guarded(arguments[0], getattr(self.req, arguments[0]), *arguments[1:])
        elif name == "fields":
            self.guarded(name, self.req.for_each_header, self.note)
        elif name == "attribute":
            for what in (self.res, self.req):
                self.note(name, getattr(what, "mark", None))
                what.mark = arguments[0]
        elif name == "cork":
            self.guarded(name, self.res.cork, lambda _: [self.act(each) for each in arguments[0]] and None)
        elif name == "child":
            with contextlib.suppress(RuntimeError):
                self.res.run_async(self.steps(arguments[0]))
        elif name == "later":
            self.batch.busy += 1
            asyncio.get_running_loop().call_later(arguments[0], self.later, arguments[1])
        elif name == "on_data":
            self.guarded(name, self.res.on_data, self.gathering(arguments[0]))
        elif name == "on_aborted":
            self.guarded(name, self.res.on_aborted, lambda _: self.note("aborted"))
        elif name in ("sleep", "wait for"):
            pass
        elif name == "fail":
            raise ERRORS[arguments[0]]()
        else:
            self.guarded(name, getattr(self.res, name), *filled(arguments))

    def later(self, steps: Any) -> None:
        try:
            for step in steps:
                self.act(step)
        except BaseException as error:
            # Nobody is there to whom it could be told.
            self.note(type(error).__name__, str(error))
        finally:
            self.batch.busy -= 1

    def gathering(self, steps: Any) -> Any:
        body = bytearray()

        def on_data(_res: Any, chunk: bytes, is_end: bool) -> None:
            body.extend(chunk)
            if is_end:
                self.note("body", bytes(body))
                for step in steps:
                    self.act(step)

        return on_data


def handler(res: Any, req: Any) -> Any:
    return NativePlan(res, req).run()


async def coroutine(res: Any, req: Any) -> Any:
    return await NativePlan(res, req).run_async()


def on_error(error: BaseException, res: Any, req: Any) -> None:
    """Answer what failed, where it can be."""
    if res is not None and not res.has_responded():
        res.send({"error": repr(error)}, status=getattr(error, "status_code", 555))


# ---- ASGI

#: Of a scope, what is another in every process.
OWN = ("server", "client", "state", "extensions")


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    batch = current
    plan, journal = batch.take()
    with batch.serving():
        seen = {name: value for name, value in scope.items() if name not in OWN}
        journal.append(told([sorted(seen.items()), sorted(scope.get("extensions") or ())]))
        ended = False
        for step in plan["steps"]:
            name, *arguments = step
            if name == "sleep":
                await asyncio.sleep(arguments[0])
            elif name == "fail":
                raise ERRORS[arguments[0]]()
            elif name == "receive":
                # Behind the body only the end of the client would come.
                body = bytearray()
                while not ended:
                    event = await receive()
                    ended = event["type"] != "http.request" or not event["more_body"]
                    body += event.get("body", b"")
                    if ended:
                        journal.append([event["type"], bytes(body)])
            else:
                await asgi_send(plan, journal, send, filled_message(arguments[0]))
        await asgi_end(plan, journal, send)


def filled_message(message: dict[str, Any]) -> dict[str, Any]:
    return {name: LARGE if value is ... else value for name, value in message.items()}


async def asgi_send(plan: Plan, journal: list[Any], send: Any, message: dict[str, Any]) -> None:
    try:
        await send(message)
    except Exception as error:
        journal.append([type(error).__name__, str(error)])
        if plan.get("open"):
            raise


async def asgi_end(plan: Plan, journal: list[Any], send: Any) -> None:
    body = b"the end"
    if plan["last"] == "raise":
        raise ERRORS[plan["error"]]()
    if plan["last"] == "echo":
        body = json.dumps(journal, default=repr).encode()
    elif plan["last"] != "the end":
        return
    length = b"%d" % len(body)
    await asgi_send(
        plan, journal, send, {"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]}
    )
    await asgi_send(plan, journal, send, {"type": "http.response.body", "body": body})


# ---- WSGI

#: Of an environ, what is another in every process.
OWN_KEYS = ("SERVER_PORT", "REMOTE_PORT")


class WSGIPlan:
    """An application for one request."""

    def __init__(self, environ: dict[str, Any], start_response: Any) -> None:
        self.batch = current
        self.plan, self.journal = self.batch.take()
        self.environ, self.start_response = environ, start_response

    def note(self, *what: Any) -> None:
        self.journal.append(told(what))

    def run(self) -> Any:
        with self.batch.serving():
            plan = self.plan
            self.note(sorted((key, value) for key, value in self.environ.items() if key not in OWN_KEYS))
            if plan["last"] == "the end":
                self.start_response("200 OK", [("Content-Length", "7")])
                return [b"the end"]
            for name, *arguments in plan["reads"]:
                self.guarded(name, getattr(self.environ["wsgi.input"], name), *arguments)
            if plan["raises"] == "app":
                raise ERRORS[plan["error"]]()
            if plan["shape"] == "lazy":
                return Closing(self, self.lazily())
            self.start()
            rest = filled(plan["blocks"][plan["writes"] :])
            if plan["last"] == "echo":
                rest.append(json.dumps(self.journal, default=repr).encode())
            if plan["shape"] in ("list", "tuple"):
                return rest if plan["shape"] == "list" else tuple(rest)
            return Closing(self, self.each(rest)) if plan["shape"] == "closing" else self.each(rest)

    def guarded(self, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            result = function(*arguments)
        except Exception as error:
            self.note(name, type(error).__name__, str(error))
            return None
        self.note(name, result)
        return result

    def lazily(self) -> Iterator[Any]:
        self.start()
        yield from self.each(filled(self.plan["blocks"][self.plan["writes"] :]))

    def each(self, blocks: list[Any]) -> Iterator[Any]:
        if self.plan["raises"] == "first":
            raise ERRORS[self.plan["error"]]()
        yield from blocks
        self.note("behind the last block")
        if self.plan["raises"] == "last":
            raise ERRORS[self.plan["error"]]()

    def start(self) -> None:
        for status, headers, how in self.plan["starts"]:
            information: Optional[tuple[Any, ...]] = None
            if how == "again":
                error = OverflowError("again")
                information = (OverflowError, error, None)
            arguments = (status, headers) if information is None else (status, headers, information)
            write = self.guarded("start_response", self.start_response, *arguments)
            for block in filled(self.plan["blocks"][: self.plan["writes"]]):
                if write is not None:
                    self.guarded("write", write, block)


class Closing:
    """Blocks that are closed behind the last one."""

    def __init__(self, plan: WSGIPlan, blocks: Iterator[Any]) -> None:
        self.plan, self.blocks = plan, blocks
        plan.batch.busy += 1

    def __iter__(self) -> Iterator[Any]:
        return self.blocks

    def close(self) -> None:
        self.plan.note("closed")
        self.plan.batch.busy -= 1
        if self.plan.plan["raises"] == "close":
            raise ERRORS[self.plan.plan["error"]]()


def wsgi(environ: dict[str, Any], start_response: Any) -> Any:
    return WSGIPlan(environ, start_response).run()
