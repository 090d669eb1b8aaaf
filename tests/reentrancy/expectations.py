"""What becomes of a method that is called inside a callback: usually nothing but what it does everywhere."""

from __future__ import annotations

from typing import NamedTuple

RETURNED, RUNTIME_ERROR, TYPE_ERROR = "returned", "RuntimeError", "TypeError"


class Outcome(NamedTuple):
    """Words of the program that are right: what the call said, what its client got, and whether others are served."""

    said: tuple[str, ...]
    answers: tuple[str, ...]
    after: tuple[str, ...]

    def allows(self, said: str, answer: str, after: str) -> bool:
        return said in self.said and answer in self.answers and after in self.after


#: Methods that another answer than the handler's comes from.
ANSWERS = {
    "res write_status": "201 done",
    "res write": "200 part done",
    "res cork part": "200 part done",
    "res end": "200 method",
    "res end json": '200 {"method": 1}',
    "res end and close": "200 method, closed",
    "res cork_end": "200 method",
    "res cork": "200 method",
    "res cork_send": "200 method",
    "res end_without_body": "200 ",
    "res send": "202 method",
    "res try_end": "200 sized",
    "res send_chunk": "200 sized",
    "res redirect": "302 ",
    "res close": "cut",
}
#: Without TLS, without a template engine, and in a thread whose event loop runs.
ALWAYS_REFUSED = ("app missing_server_name", "app reload_certificates", "app run", "res render")
#: What another thread may not: see docs/threads.md.
OWN_THREAD_ONLY = (
    "app run_async",
    *(f"res {name}" for name in ("try_end", "send_chunk", "drain", "on_data", "get_data", "run_async", "upgrade")),
    *(f"res {name}" for name in ("get_remote_address", "get_proxied_remote_address", "get_client_certificate")),
    *(f"ws {name}" for name in ("closed", "subscribe", "subscribe much", "unsubscribe", "unsubscribe all", "is_subscribed")),
    *(f"ws {name}" for name in ("get_topics", "for_each_topic", "get_buffered_amount", "get_remote_address")),
)
#: Methods of a request that say nothing of the client's.
NO_QUESTION = ("req set_yield", "req get_yield")
#: The routes of a request are known while its handler runs.
PRESERVED = ("async_later", "on_data", "on_writable")
#: What changes a head, or begins a body of another kind: too late once a body has begun.
NEEDS_HEAD = tuple(
    f"res {name}"
    for name in ("write_status", "write_header", "set_cookie", "send", "cork_send", "try_end", "send_chunk", "redirect")
)
READS_BODY = ("res on_data", "res get_data")
ENDS_WEBSOCKET = {
    "ws end": ("closed 1000",),
    "ws cork_end": ("closed 1000",),
    "ws cork and end": ("closed 1000",),
    "ws close": ("cut",),
    "ws cork and close": ("cut",),
}
#: Callbacks that come when the connection has closed already, or is about to.
WHILE_CLOSING = ("ws close", "ws unsubscribed")
ECHO = "echo, closed 1000"
#: An app that stops ends its websockets, before or after the echo; one that nobody serves cuts them.
STOPPED = (ECHO, "echo, closed 1001", "closed 1001", "cut", "closed 1006")


def _refused(callback: str, method: str) -> bool:
    foreign = "foreign" in callback
    if callback == "on_aborted":
        # A response whose client has left does nothing.
        return method in ALWAYS_REFUSED
    return (
        method in ALWAYS_REFUSED
        or (foreign and method in OWN_THREAD_ONLY)
        or (foreign and method.startswith("req ") and method not in NO_QUESTION)
        or (method == "req allowed_methods" and callback in PRESERVED)
        or (callback == "on_writable" and method in NEEDS_HEAD)
        or (callback == "on_data" and method in READS_BODY)
    )


def _http_answers(callback: str, method: str) -> tuple[str, ...]:
    if callback == "on_aborted":
        return ("cut",)
    if callback == "yielding" and method == "req set_yield":
        # It takes the request back, and does not answer it.
        return ("500 Internal Server Error",)
    answer = ANSWERS.get(method, "200 done")
    if callback == "yielding" and method == "res write_status":
        # The next handler gets a response of its own.
        return ("200 done",)
    if callback == "on_writable" and method == "res end and close":
        # The head said that the connection is kept.
        return ("200 method, then cut",)
    return (answer,)


def _websocket_answers(callback: str, method: str) -> tuple[str, ...]:
    if callback == "ws upgrade":
        if method in ("res write", "res cork part"):
            # A body began: it is no websocket any more.
            return ("cut",)
        answer = ANSWERS.get(method)
        return (ECHO if answer is None or method == "res write_status" else answer.partition(", closed")[0],)
    if callback in WHILE_CLOSING:
        return (ECHO,)
    if callback == "ws drain" and method in ("ws end", "ws cork_end", "ws cork and end"):
        # The echo was on its way already.
        return (ECHO, "echo, closed 1000", "closed 1000")
    answers = ENDS_WEBSOCKET.get(method, (ECHO,))
    return (*answers, ECHO) if callback in ("ws drain", "ws ping", "ws pong") and method in ENDS_WEBSOCKET else answers


def _of_life(callback: str, method: str) -> Outcome:
    """Give what becomes of a method in a start or shutdown handler: the app starts, serves and ends all the same."""
    refused = method in ALWAYS_REFUSED or (method == "app listen" and callback.startswith("shutdown"))
    ends_early = method.startswith("ending ") and callback.startswith("start")
    answers = ("served", "cut", "refused") if ends_early else ("served",)
    return Outcome((RUNTIME_ERROR if refused else RETURNED,), answers, ("refused",))


def expected(callback: str, method: str, served: bool) -> Outcome:
    """Give what becomes of a pair.

    Args:
        callback: where it is called.
        method: what is called.
        served: whether the app is served itself, or lives on the loop of another one.

    """
    if callback.startswith(("start", "shutdown")):
        return _of_life(callback, method)
    is_websocket = callback.startswith("ws ")
    said = RUNTIME_ERROR if _refused(callback, method) else RETURNED
    if method == "res upgrade" and callback not in ("on_aborted", "foreign"):
        said = TYPE_ERROR
    answers = _websocket_answers(callback, method) if is_websocket else _http_answers(callback, method)
    if said != RETURNED and callback != "on_aborted":
        answers = (ECHO,) if is_websocket else ("200 done",)
    if method.startswith("ending "):
        if is_websocket:
            answers = STOPPED
        elif callback != "on_aborted":
            # What a handler answers after it is delivered; only an app that is served waits for answers to come.
            answers = ("200 done", "200 done, closed", "200 done, then cut")
            if not served or callback == "foreign":
                answers += ("cut",)
        return Outcome((said,), answers, ("refused",))
    return Outcome((said,), answers, ("served",))
