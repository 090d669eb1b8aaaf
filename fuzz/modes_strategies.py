"""Exchanges for every interface: what clients send, and the plans of what answers them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from modes_plans import ERRORS
from request_inputs import damaged, messages
from wsgi_inputs import ODD_PAIRS

# ---- what clients send

TARGETS = ["/", "/a/b?c=d&e=%20f&c", "/only/x", "/only/%C3%A4?", "/both/1/2", "/a%2Fb//", "http://b/c?d", "/" + "a" * 300]
METHODS = ["GET", "GET", "GET", "HEAD", "POST", "POST", "PUT", "DELETE", "OPTIONS", "X-OWN"]
FIELDS = [
    "Cookie: a=b; c=d; a=e",
    "Cookie: broken",
    "X-A: b",
    "X-A: c",
    "x-latin: \u00e9",
    "X-Empty:",
    "Accept-Encoding: gzip",
    "Connection: keep-alive",
    "TE: trailers",
    "Content-Type: application/x-www-form-urlencoded",
    "Content-Type: application/json",
    "X_Under: 1",
    "Expect: 100-continue",
    "X-Long: " + "v" * 500,
]
BODIES = ["", "", "abc", "a=b&c=%20d&a=e", '{"a": [1, "\u00e9"]}', "[broken", "x" * 3000, "y" * 70_000]


@st.composite
def requests(draw: Any) -> bytes:
    """One request that is well-formed."""
    version = draw(st.sampled_from(["HTTP/1.1"] * 7 + ["HTTP/1.0"]))
    fields = ["Host: a", *draw(st.lists(st.sampled_from(FIELDS), max_size=3))]
    method, target = draw(st.sampled_from(METHODS)), draw(st.sampled_from(TARGETS))
    body = draw(st.sampled_from(BODIES)).encode()
    if body and version == "HTTP/1.1" and draw(st.booleans()):
        size = draw(st.sampled_from([1, 7, 4096])) if len(body) < 100 else 4096
        fields.append("Transfer-Encoding: chunked")
        pieces = [body[at : at + size] for at in range(0, len(body), size)]
        body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    elif body or draw(st.booleans()):
        fields.append(f"Content-Length: {len(body)}")
    return "\r\n".join([f"{method} {target} {version}", *fields, "", ""]).encode("latin-1") + body


class Sent:
    """The bytes of a connection, where they are cut, and whether whoever sends them ends its half."""

    def __init__(self, data: bytes, cuts: list[int], ends: bool) -> None:
        edges = sorted({0, *(min(each, len(data)) for each in cuts), len(data)})
        self.pieces = [data[begin:end] for begin, end in zip(edges, edges[1:])]
        self.ends = ends

    def __repr__(self) -> str:
        return f"Sent({self.pieces!r}, ends={self.ends})"


#: Behind it a connection ends by itself.
GOODBYE = b"GET /goodbye HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def join_whole(each: list[bytes], cuts: list[int]) -> Sent:
    return Sent(b"".join(each) + GOODBYE, cuts, ends=False)


CUTS = st.lists(st.integers(0, 400), max_size=2)
WHOLE = st.builds(join_whole, st.lists(requests(), min_size=1, max_size=4), CUTS)
BROKEN = st.builds(
    Sent, damaged(st.lists(st.one_of(requests(), messages()), min_size=1, max_size=3).map(b"".join)), CUTS, st.just(value=True)
)
SENT = st.one_of(WHOLE, WHOLE, WHOLE, BROKEN)


def record(members: dict[str, Any]) -> Any:
    """Dictionaries whose members are drawn in this order."""
    return st.builds(dict, **members)


# ---- what handlers of apps do

ERROR = st.sampled_from(sorted(ERRORS))
DATA = st.sampled_from(
    [b"", b"abc", "te\u00e9xt", "", b"x" * 2000, bytearray(b"array"), None, {"a": [1, None]}, 5, ..., "\ud800", {1, 2}]
)
FLAG = st.booleans()
STATUSES = st.sampled_from([200, 201, 204, 205, 304, 404, 500, "299 Fine", b"200 OK", 99, "", 1000, None, "200 \u20ac"])
NAMES = st.sampled_from(["X-A", "x-b", b"X-C", "Content-Length", "Connection", "Content-Type", "Date", "Server", "X A", "", 5])
VALUES = st.sampled_from(["b", "close", "5", "", b"\xe9", "a\r\nb", "\u20ac", 7, None, " a "])
HEADERS = st.one_of(
    st.none(), st.lists(st.tuples(NAMES, VALUES), max_size=3), st.dictionaries(NAMES, VALUES, max_size=2), st.just([("a",)])
)
COOKIES = st.sampled_from([None, {"path": "/", "httponly": True, "max-age": 5}, {"samesite": "Lax"}, {"odd": 1}])
READS = [
    ("get_method",),
    ("get_url",),
    ("get_full_url",),
    ("get_header", "x-a"),
    ("get_header", "X-Long"),
    ("get_headers",),
    ("get_query", "c"),
    ("get_queries",),
    ("get_parameter", 0),
    ("get_parameter", 1),
    ("get_parameter", -1),
    ("get_parameters",),
    ("get_cookie", "a"),
    ("get_cookies",),
    ("preserve",),
    ("is_ancient",),
    ("get_yield",),
]


def step(name: str, *arguments: Any) -> Any:
    return st.tuples(st.just(name), *arguments)


READING = st.sampled_from([("read", *each) for each in READS] + [("fields",), ("attribute", 1)])
ANSWERS = st.one_of(
    step("end", DATA),
    step("end", DATA, FLAG),
    step("cork_end", DATA, FLAG),
    step("end_without_body"),
    step("end_without_body", FLAG),
    step("send", DATA),
    step("send", DATA, st.sampled_from([b"text/html", "a/b", None, 5]), STATUSES, HEADERS),
    step("send", DATA, st.just(b"text/plain"), STATUSES, HEADERS, FLAG),
    step("cork_send", DATA, st.just("a/b"), STATUSES),
    step("redirect", st.sampled_from(["/x", "http://b/\u00e9", "/a\r\nb"])),
    step("try_end", st.sampled_from([b"abc", b"abcde"]), st.sampled_from([3, 5])),
)
HEADS = st.one_of(
    step("write_status", STATUSES),
    step("write_header", NAMES, VALUES),
    step("set_cookie", st.sampled_from(["a", "b c", ""]), st.sampled_from(["1", "\u00e9;", None]), COOKIES),
    step("write_continue"),
)
PIECES = st.one_of(
    step("write", DATA),
    step("get_write_offset"),
    step("has_responded"),
    step("grab_aborted_handler"),
    step("on_aborted"),
    step("close"),
    step("resume"),
)
SMALL = st.lists(st.one_of(HEADS, PIECES, READING, ANSWERS), max_size=3)
GROUPS = st.one_of(
    step("cork", SMALL),
    step("child", SMALL),
    step("later", st.sampled_from([0, 0.001]), SMALL),
    step("on_data", SMALL),
)
WAITS = st.one_of(
    step("sleep", st.sampled_from([0, 0, 0.001])),
    st.sampled_from(
        [("wait for", name) for name in ("get_data", "get_text", "get_json", "get_form_urlencoded")]
        + [("wait for", "get_text", "ascii"), ("wait for", "send_chunk", ..., 300_000), ("wait for", "send_chunk", b"abc", 3)]
    ),
)


def native_plans(*more: Any) -> Any:
    steps = st.one_of(READING, HEADS, HEADS, PIECES, ANSWERS, GROUPS, step("fail", ERROR), *more)
    usual = st.tuples(st.lists(st.one_of(READING, HEADS, *more), max_size=3), ANSWERS).map(lambda parts: [*parts[0], parts[1]])
    return record(
        {
            "steps": st.one_of(usual, usual, st.lists(steps, max_size=6)),
            "last": st.sampled_from(["echo", "echo", "echo", "raise", "nothing"]),
            "error": ERROR,
            "open": FLAG,
        }
    )


HANDLERS = native_plans()
COROUTINES = native_plans(WAITS, WAITS)

# ---- what ASGI applications do

ASGI_BODIES = st.sampled_from([b"", b"a", b"bc" * 50, b"x" * 20_000, ...])
ASGI_HEADERS = st.lists(
    st.sampled_from(
        [
            (b"x-a", b"b"),
            (b"X-A", b"\xe9 "),
            (b"content-length", b"3"),
            (b"content-length", b"100"),
            (b"content-type", b"text/plain"),
            (b"connection", b"close"),
            (b"transfer-encoding", b"chunked"),
            (b"date", b"never"),
            (b"server", b"mine"),
            [b"x-list", b"c"],
            (b"x bad", b"d"),
            (b"x-bad", b"e\n"),
            ("text", "f"),
            (b"alone",),
        ]
    ),
    max_size=3,
)


def message(kind: str, **members: Any) -> Any:
    return record({"type": st.just(kind), **members})


STARTS = message(
    "http.response.start",
    status=st.sampled_from([200, 200, 201, 204, 304, 404, 503, 99, "200", 1000]),
    headers=ASGI_HEADERS,
    trailers=st.sampled_from([False, False, True]),
)
ASGI_PIECES = message("http.response.body", body=ASGI_BODIES, more_body=FLAG)
STRANGE = st.sampled_from(
    [
        {"type": "http.response.start", "status": 200},
        {"type": "http.response.body"},
        {"type": "http.response.trailers", "headers": [(b"x-t", b"1")]},
        {"type": "http.response.early_hint", "links": [b"</a>"]},
        {"type": "http.response.pathsend", "path": __file__},
        {"type": "http.response.pathsend", "path": "/nowhere"},
        {"type": "websocket.accept"},
        {"type": "nonsense"},
        {"type": "http.response.body", "body": "text"},
        {"type": "http.response.body", "body": bytearray(b"array"), "more_body": 1},
        {"type": "http.response.start", "status": 200, "headers": 5},
        {},
    ]
)
ASGI_OTHERS = st.one_of(step("sleep", st.sampled_from([0, 0, 0.001])), st.just(("receive",)))
ORDERED = st.tuples(
    st.lists(ASGI_OTHERS, max_size=2),
    STARTS.map(lambda each: ("send", each)),
    st.lists(st.one_of(ASGI_PIECES.map(lambda each: ("send", each)), ASGI_OTHERS), max_size=4),
    st.lists(message("http.response.body", body=ASGI_BODIES).map(lambda each: ("send", each)), max_size=1),
).map(lambda parts: [*parts[0], parts[1], *parts[2], *parts[3]])
ANY = st.lists(
    st.one_of(st.one_of(STARTS, ASGI_PIECES, STRANGE).map(lambda each: ("send", each)), ASGI_OTHERS, step("fail", ERROR)),
    max_size=5,
)
ASGI_PLANS = record(
    {
        "steps": st.one_of(ORDERED, ORDERED, ANY, st.just([("receive",)]), st.just([])),
        "last": st.sampled_from(["echo", "echo", "nothing", "raise"]),
        "error": ERROR,
        "open": FLAG,
    }
)

# ---- what WSGI applications do

PAIRS: list[Any] = [
    ("X-A", "b"),
    ("x-a", " \u00e9\t"),
    ("Content-Type", "text/plain"),
    ("Connection", "close"),
    ("TE", "x"),
    ("Date", "never"),
    *ODD_PAIRS,
]
WSGI_HEADERS = st.one_of(
    st.lists(st.sampled_from(PAIRS[:6]), max_size=3), st.lists(st.sampled_from(PAIRS), max_size=3), st.just((("X-A", "b"),))
)
WSGI_STATUSES = st.sampled_from(
    ["200 OK", "200 OK", "201 Made", "204 No", "304 Not", "99 X", "100 Go", "200 \u20ac", b"200 OK", None, "2000"]
)
BLOCKS = st.lists(
    st.one_of(st.sampled_from([b"", b"abc", b"a", b"abcd", ...]), st.sampled_from([b"abc", "abc", bytearray(b"a"), None])),
    max_size=4,
)
WSGI_READS = st.lists(
    st.sampled_from([("read",), ("read", 2), ("read", -1), ("readline",), ("readline", 3), ("readlines",), ("read", "a")]),
    max_size=3,
)
WSGI_PLANS = record(
    {
        "starts": st.lists(
            st.tuples(WSGI_STATUSES, WSGI_HEADERS, st.sampled_from(["once", "once", "again"])), min_size=1, max_size=2
        ),
        "reads": WSGI_READS,
        "writes": st.integers(0, 1),
        "shape": st.sampled_from(["list", "list", "tuple", "iterator", "lazy", "closing"]),
        "blocks": BLOCKS,
        "raises": st.sampled_from(["", "", "", "", "app", "first", "last", "close"]),
        "error": ERROR,
        "last": st.sampled_from(["echo", "nothing"]),
    }
)

PLANS = {
    "handler": HANDLERS,
    "pooled handler": HANDLERS,
    "coroutine": COROUTINES,
    "pooled coroutine": COROUTINES,
    "asgi": ASGI_PLANS,
    "wsgi": WSGI_PLANS,
    "wsgi in threads": WSGI_PLANS,
}
