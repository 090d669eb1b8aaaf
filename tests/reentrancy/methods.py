"""Every public method, as a function that calls it inside a callback."""

from __future__ import annotations

import asyncio
import tempfile
from typing import Any, Callable

from socketify import App, MiddlewareRouter, OpCode

Call = Callable[..., Any]

_routes = iter(range(10**9))


def _handler(res: Any, _req: Any) -> None:
    res.end("added")


async def _nothing() -> None:
    await asyncio.sleep(0)


def _run_async(app: App) -> None:
    app.run_async(_nothing())


class _Engine:
    def render(self, name: str, **_: Any) -> str:
        return "rendered" if name else ""


class _Dumps:
    def dumps(self, _: Any) -> str:
        return '"json"'

    def loads(self, _: Any) -> str:
        return "json"


#: Called with the app.
APP: dict[str, Call] = {
    "get": lambda app: app.get(f"/added/{next(_routes)}", _handler),
    "any": lambda app: app.any(f"/added/{next(_routes)}/*", _handler),
    "same route": lambda app: app.get("/ok", _handler),
    "ws": lambda app: app.ws(f"/added/{next(_routes)}", {"close": lambda *_: None}),
    "static": lambda app: app.static(f"/added/{next(_routes)}", tempfile.gettempdir()),
    "router": lambda app: app.router("/added").get(f"/{next(_routes)}")(_handler),
    "middleware": lambda app: MiddlewareRouter(app, lambda *_: True).get(f"/added/{next(_routes)}", _handler),
    "domain": lambda app: app.domain("added.example").get(f"/{next(_routes)}", _handler),
    "domain.ws": lambda app: app.domain("added.example").ws(f"/{next(_routes)}", {}),
    "remove_server_name": lambda app: app.remove_server_name("added.example"),
    "remove own name": lambda app: app.remove_server_name("own.example"),
    "add_server_name": lambda app: app.add_server_name("added.example"),
    "missing_server_name": lambda app: app.missing_server_name(None),
    "reload_certificates": lambda app: app.reload_certificates(),
    "get_failed_handshakes": lambda app: app.get_failed_handshakes(),
    "register": lambda app: app.register(lambda *_: None),
    "json_serializer": lambda app: app.json_serializer(_Dumps()),
    "template": lambda app: app.template(_Engine()),
    "on_start": lambda app: app.on_start(lambda: None),
    "on_shutdown": lambda app: app.on_shutdown(lambda: None),
    "on_error": lambda app: app.on_error(lambda *_: None),
    "listen": lambda app: app.listen(0),
    "run": lambda app: app.run(),
    "publish": lambda app: app.publish("topic", "published"),
    "publish much": lambda app: app.publish("topic", "published" * 10_000, OpCode.TEXT),
    "publish_here": lambda app: app.publish_here("topic", "published"),
    "on_presence": lambda app: app.on_presence(lambda *_: None),
    "num_subscribers": lambda app: app.num_subscribers("topic"),
    "broker_counters": lambda app: app.broker_counters,
    "run_async": _run_async,
    "close_after": lambda app: app.close_after(10**9),
    "is_secure": lambda app: app.is_secure,
    "get_native_handle": lambda app: app.get_native_handle(),
    "loop": lambda app: (app.loop.loop, app.loop.is_running(), app.loop.backend, app.loop.get_native_handle()),
}

#: Called with the app, which it ends.
ENDING: dict[str, Call] = {
    "close": lambda app: app.close(),
    "close twice": lambda app: app.close().dispose(),
}

#: Called with the request.
REQUEST: dict[str, Call] = {
    "get_method": lambda req: req.get_method(),
    "get_url": lambda req: req.get_url(),
    "get_full_url": lambda req: req.get_full_url(),
    "get_scheme": lambda req: req.get_scheme(),
    "get_header": lambda req: req.get_header("host"),
    "get_headers": lambda req: req.get_headers(),
    "for_each_header": lambda req: req.for_each_header(lambda name, _value: req.get_header(name)),
    "get_query": lambda req: req.get_query("q"),
    "get_query_list": lambda req: req.get_query_list("q"),
    "get_queries": lambda req: req.get_queries(),
    "get_parameter": lambda req: req.get_parameter(0),
    "get_parameters": lambda req: req.get_parameters(),
    "get_cookie": lambda req: req.get_cookie("name"),
    "get_cookies": lambda req: req.get_cookies(),
    "allowed_methods": lambda req: req.allowed_methods(),
    "preserve": lambda req: req.preserve(),
    "set_yield": lambda req: req.set_yield(0),
    "get_yield": lambda req: req.get_yield(),
    "is_ancient": lambda req: req.is_ancient(),
}


def _sized(res: Any) -> None:
    res.try_end(b"sized", 5)


def _send_chunk(res: Any) -> None:
    coroutine = res.send_chunk(b"sized", 5)
    try:
        coroutine.send(None)
    except StopIteration:
        pass
    finally:
        coroutine.close()


def _step(coroutine: Any) -> None:
    try:
        coroutine.send(None)
    except StopIteration:
        pass
    finally:
        coroutine.close()


async def _read(res: Any) -> None:
    await res.get_data()


#: Called with the response.
RESPONSE: dict[str, Call] = {
    "write_status": lambda res: res.write_status(201),
    "write_header": lambda res: res.write_header("X-Name", "value"),
    "set_cookie": lambda res: res.set_cookie("name", "value", {}),
    "write": lambda res: res.write(b"part "),
    "end": lambda res: res.end("method"),
    "end json": lambda res: res.end({"method": 1}),
    "end and close": lambda res: res.end("method", end_connection=True),
    "cork_end": lambda res: res.cork_end("method"),
    "end_without_body": lambda res: res.end_without_body(),
    "send": lambda res: res.send("method", b"text/html", 202, (("X-Name", "value"),)),
    "cork_send": lambda res: res.cork_send(b"method"),
    "cork": lambda res: res.cork(lambda res: res.end("method")),
    "cork part": lambda res: res.cork(lambda res: res.write("part ")),
    "try_end": _sized,
    "send_chunk": _send_chunk,
    "drain": lambda res: _step(res.drain()),
    "get_write_offset": lambda res: res.get_write_offset(),
    "write_offset": lambda res: res.write_offset(0),
    "on_writable": lambda res: res.on_writable(lambda *_: None),
    "on_aborted": lambda res: res.on_aborted(lambda *_: None),
    "grab_aborted_handler": lambda res: res.grab_aborted_handler(),
    "aborted": lambda res: res.aborted,
    "on_data": lambda res: res.on_data(lambda *_: None),
    "get_data": lambda res: _step(_read(res)),
    "redirect": lambda res: res.redirect("/elsewhere"),
    "write_continue": lambda res: res.write_continue(),
    "render": lambda res: res.render("name"),
    "pause": lambda res: res.pause(),
    "resume": lambda res: res.pause().resume(),
    "close": lambda res: res.close(),
    "has_responded": lambda res: res.has_responded(),
    "get_remote_address": lambda res: res.get_remote_address(),
    "get_proxied_remote_address": lambda res: res.get_proxied_remote_address(),
    "get_client_certificate": lambda res: res.get_client_certificate(),
    "run_async": lambda res: res.run_async(_nothing()),
    "upgrade": lambda res: res.upgrade("key", None, None, None),
    "get_native_handle": lambda res: res.get_native_handle(),
}

#: Called with the websocket.
WEBSOCKET: dict[str, Call] = {
    "send": lambda ws: ws.send("method", OpCode.TEXT),
    "send compressed": lambda ws: ws.send(b"method", OpCode.BINARY, True),
    "send much": lambda ws: ws.send(b"x" * 1_000_000),
    "cork_send": lambda ws: ws.cork_send("method"),
    "ping": lambda ws: ws.send(b"", OpCode.PING),
    "fragments": lambda ws: (ws.send_first_fragment("a"), ws.send_fragment("b"), ws.send_last_fragment("c")),
    "cork": lambda ws: ws.cork(lambda ws: (ws.send("method"), ws.send("method"))),
    "cork and end": lambda ws: ws.cork(lambda ws: ws.end(1000)),
    "cork and close": lambda ws: ws.cork(lambda ws: ws.close()),
    "end": lambda ws: ws.end(1000, "method"),
    "cork_end": lambda ws: ws.cork_end(1000, "method"),
    "close": lambda ws: ws.close(),
    "closed": lambda ws: _step(ws.closed()),
    "is_closed": lambda ws: ws.is_closed,
    "subscribe": lambda ws: ws.subscribe("other"),
    "subscribe much": lambda ws: [ws.subscribe(f"other{number}") for number in range(50)],
    "unsubscribe": lambda ws: ws.unsubscribe("topic"),
    "unsubscribe all": lambda ws: ws.for_each_topic(ws.unsubscribe),
    "is_subscribed": lambda ws: ws.is_subscribed("topic"),
    "publish": lambda ws: ws.publish("topic", "published"),
    "publish to others": lambda ws: ws.publish("topic", "published", OpCode.TEXT, compress=True, exclude_self=True),
    "get_topics": lambda ws: ws.get_topics(),
    "for_each_topic": lambda ws: ws.for_each_topic(lambda topic: ws.subscribe(topic + "x")),
    "get_user_data": lambda ws: (ws.get_user_data(), ws.get_user_data_uuid()),
    "get_buffered_amount": lambda ws: ws.get_buffered_amount(),
    "get_remote_address": lambda ws: ws.get_remote_address(),
    "clone": lambda ws: ws.clone(),
    "get_native_handle": lambda ws: ws.get_native_handle(),
}
