"""`send`: every form of status, message and headers, and what each mistake says."""

from __future__ import annotations

import json
from collections import UserDict
from typing import Any, Callable, Optional

import httpx
import pytest
from app_servers import http_1_only

from socketify import App, Request, Response


def _answer(serve: Callable[..., Any], handler: Callable[[Response, Request], Any], **options: Any) -> httpx.Response:
    return httpx.get(serve(lambda app: app.get("/", handler), **options).url)


def _raising(pairs: list[Any], error: BaseException) -> Any:
    yield from pairs
    raise error


PAIRS = [("X-A", "1"), (b"X-B", b"2"), ("X-C", 3)]


@pytest.mark.parametrize(
    "make",
    [
        lambda: PAIRS,
        lambda: tuple(PAIRS),
        lambda: iter(PAIRS),
        lambda: (pair for pair in PAIRS),
        lambda: [list(pair) for pair in PAIRS],
        lambda: dict(PAIRS),
        lambda: dict(PAIRS).items(),
        lambda: UserDict(PAIRS),
        lambda: map(tuple, PAIRS),
    ],
)
def test_headers_are_any_iterable_of_pairs(serve: Callable[..., Any], make: Callable[[], Any]) -> None:
    got = _answer(serve, lambda res, _req: res.send(b"x", headers=make()))
    assert [got.headers[name] for name in ("x-a", "x-b", "x-c")] == ["1", "2", "3"]
    assert (got.status_code, got.text, got.headers["content-type"]) == (200, "x", "text/plain")


@pytest.mark.parametrize(
    ("status", "code", "phrase"),
    [
        (200, 200, "OK"),
        ("200 OK", 200, "OK"),
        (b"404 Not Found", 404, "Not Found"),
        (418, 418, "I'm a Teapot"),
        (299, 299, ""),
        pytest.param("299 Fine", 299, "Fine", marks=http_1_only("a reason phrase")),
        pytest.param("500", 500, "", marks=http_1_only("a reason phrase")),
    ],
)
def test_status(serve: Callable[..., Any], status: Any, code: int, phrase: str) -> None:
    got = _answer(serve, lambda res, _req: res.send("x", status=status))
    assert (got.status_code, got.reason_phrase.lower()) == (code, phrase.lower())


@pytest.mark.parametrize(
    ("message", "body", "content_type"),
    [
        ("é", "é".encode(), "text/plain"),
        (b"b", b"b", "text/plain"),
        (bytearray(b"a"), b"a", "text/plain"),
        (memoryview(b"m"), b"m", "text/plain"),
        (None, b"", "text/plain"),
        ({"a": [1]}, json.dumps({"a": [1]}).encode(), "application/json"),
        (7, b"7", "application/json"),
    ],
)
def test_messages(serve: Callable[..., Any], message: Any, body: bytes, content_type: str) -> None:
    got = _answer(serve, lambda res, _req: res.send(message))
    assert (got.content, got.headers["content-type"]) == (body, content_type)


def test_content_type(serve: Callable[..., Any]) -> None:
    assert _answer(serve, lambda res, _: res.send({}, "text/x")).headers["content-type"] == "text/x"
    assert _answer(serve, lambda res, _: res.send({}, b"text/plain")).headers["content-type"] == "text/plain"
    assert "content-type" not in _answer(serve, lambda res, _: res.send("x", None)).headers
    assert _answer(serve, lambda res, _: res.send("x", headers={"CONTENT-TYPE": "a/b"})).headers.get_list("content-type") == [
        "a/b"
    ]
    assert _answer(serve, lambda res, _: res.write_header("Content-Type", "c/d").send("x")).headers.get_list(
        "content-type"
    ) == ["c/d"]


def test_what_was_written_before_is_kept(serve: Callable[..., Any]) -> None:
    got = _answer(serve, lambda res, _: res.write_status(201).write_header("X-A", 1).send("x", headers=[("X-B", 2)]))
    assert (got.status_code, got.headers["x-a"], got.headers["x-b"]) == (201, "1", "2")


def test_repeated_fields_stay_separate_and_values_are_latin1(serve: Callable[..., Any]) -> None:
    got = _answer(serve, lambda res, _: res.send("", headers=[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X", "é")]))
    assert got.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert (b"x", b"\xe9") in [(name.lower(), value) for name, value in got.headers.raw]


@pytest.mark.parametrize("form", [list, tuple])
@pytest.mark.parametrize("count", [0, 1, 20, 200])
@pytest.mark.parametrize("length", [None, 1, 900, 1100, 5000])
def test_many_fields_with_a_content_type_of_any_length(
    serve: Callable[..., Any], length: Optional[int], count: int, form: Callable[[Any], Any]
) -> None:
    pairs = [(f"X-{number}", "v" * number) for number in range(count)]
    own = [("Content-Type", "a/own")] if length is None else []
    given = {} if length is None else {"content_type": "a/" + "b" * length}
    got = _answer(serve, lambda res, _: res.send("x", headers=form(pairs + own), **given))
    assert got.headers.get_list("content-type") == [given.get("content_type", "a/own")]
    assert [got.headers[name] for name, _ in pairs] == [value for _, value in pairs]
    assert (got.status_code, got.reason_phrase, got.text) == (200, "OK", "x")


@pytest.mark.parametrize(
    ("headers", "kind", "culprit"),
    [
        ([("X", "a\r\nEvil: 1")], ValueError, "'X'"),
        ([("X", "a\nb")], ValueError, "'X'"),
        ([("X", b"a\0")], ValueError, "'X'"),
        ([("X\nY", "a")], ValueError, "X\\nY"),
        ([("X Y", "a")], ValueError, "X Y"),
        ([("", "a")], ValueError, "''"),
        ([("é", "a")], ValueError, "é"),
        ([("X", "€")], ValueError, "€"),
        ([("X", 1.5)], TypeError, "float"),
        ([("X", None)], TypeError, "NoneType"),
        ([("X", True)], TypeError, "bool"),
        ([(7, "a")], TypeError, "int"),
        (["ab"], TypeError, "'ab'"),
        ([b"ab"], TypeError, "ab"),
        ([("X",)], TypeError, "1 items"),
        ([("X", "a", "b")], TypeError, "3 items"),
        ([{"X", "a"}], TypeError, "pairs"),
        ([None], TypeError, "None"),
        (5, TypeError, "int"),
        ("ab", TypeError, "str"),
    ],
)
def test_mistakes_name_the_culprit_and_can_still_be_answered(
    serve: Callable[..., Any], headers: Any, kind: type, culprit: str
) -> None:
    def handler(res: Response, _req: Request) -> None:
        try:
            res.send("never", headers=headers)
        except Exception as error:
            res.send({"kind": type(error).__name__, "text": str(error)}, status=409)

    got = _answer(serve, handler)
    assert (got.status_code, got.json()["kind"]) == (409, kind.__name__)
    assert culprit in got.json()["text"]


def test_a_generator_that_raises_sends_nothing(serve: Callable[..., Any]) -> None:
    seen: list[BaseException] = []

    def build(app: App) -> None:
        app.get("/", lambda res, _: res.send("never", headers=_raising([("X", "1")], KeyError("half-way"))))
        app.set_error_handler(lambda error, res, _req: (seen.append(error), res.send("sorry", status=503)))

    got = httpx.get(serve(build).url)
    assert (got.status_code, got.text) == (503, "sorry")
    assert "x" not in got.headers
    assert isinstance(seen[0], KeyError)


def test_a_generator_that_answers_itself(serve: Callable[..., Any]) -> None:
    failures: list[str] = []

    def pairs(res: Response) -> Any:
        res.end("first")
        yield "X", "1"

    def handler(res: Response, _req: Request) -> None:
        try:
            res.send("second", headers=pairs(res))
        except RuntimeError as error:
            failures.append(str(error))

    assert _answer(serve, handler).text == "first"
    assert "ended" in failures[0]


@pytest.mark.parametrize("name", ["Content-Length", "Transfer-Encoding", "Connection", "Date", "Server"])
@pytest.mark.parametrize("value", ["5", "chunked", "close", "keep-alive", "nonsense"])
def test_the_servers_own_fields_cannot_break_a_message(serve: Callable[..., Any], name: str, value: str) -> None:
    got = _answer(serve, lambda res, _: res.send("hello", headers=[(name, value), (name, value)]))
    assert got.text == "hello"
    assert got.headers.get_list("content-length") == ["5"]
    assert "transfer-encoding" not in got.headers


def test_another_json_serializer(serve: Callable[..., Any]) -> None:
    class BytesSerializer:
        @staticmethod
        def dumps(value: Any) -> bytes:
            return b"<" + repr(value).encode() + b">"

        loads = staticmethod(json.loads)

    def build(app: App) -> None:
        app.json_serializer(BytesSerializer).get("/", lambda res, _: res.send([1]))

    assert httpx.get(serve(build).url).text == "<[1]>"
    with pytest.raises(TypeError, match="loads"):
        App().json_serializer(type("Half", (), {"dumps": str}))


def test_serializer_of_a_package(serve: Callable[..., Any]) -> None:
    ujson = pytest.importorskip("ujson")

    def with_ujson(app: App) -> None:
        async def echo(res: Response, _req: Request) -> None:
            res.send(await res.get_json())

        app.json_serializer(ujson).post("/", echo)

    assert httpx.post(serve(with_ujson).url, json={"a": "é"}).json() == {"a": "é"}


def test_redirect(serve: Callable[..., Any]) -> None:
    got = _answer(serve, lambda res, _: res.redirect("/é x?a=%20&b=1#f", 307))
    assert (got.status_code, got.headers["location"]) == (307, "/%C3%A9%20x?a=%20&b=1#f")
    for arguments, kind in (
        (("/\r\nX: 1",), ValueError),
        (("/", 200), ValueError),
        ((b"/",), TypeError),
    ):

        def handler(res: Response, _req: Request, arguments: Any = arguments, kind: type = kind) -> None:
            with pytest.raises(kind):
                res.redirect(*arguments)
            res.end("raised")

        assert _answer(serve, handler).text == "raised"


def test_render(serve: Callable[..., Any]) -> None:
    class Engine:
        def render(self, name: str, **kwargs: Any) -> str:
            return f"<p>{name} {kwargs['who']}</p>"

    got = httpx.get(serve(lambda app: app.template(Engine()).get("/", lambda res, _: res.render("a", who="é"))).url)
    assert (got.text, got.headers["content-type"]) == ("<p>a é</p>", "text/html; charset=utf-8")
    with pytest.raises(TypeError, match="render"):
        App().template(object())
