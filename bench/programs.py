"""The servers that are compared, and with which settings: a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from environments import COMMAND, NATIVE, OWN, Environments
from harness import BenchmarkError, Server, native_program

SERVE = Path(__file__).with_name("serve")
#: What a process holds that runs on io_uring.
IO_URING = "anon_inode:[io_uring]"
CEILING = "engine in C++"
EPOLL, URING = "socketify, epoll", "socketify, io_uring"
PUBLISHED = "socketify 0.0.31"


@dataclass(frozen=True)
class Program:
    """A server: what starts it, and why so.

    ``words`` are its script and what follows, or a program of ``zig build bench``; behaviour, directory and port are added. Or
    they are a whole command, to which only the port is added.
    ``package`` is the one whose version is told. ``descriptor`` is one that it must hold, for otherwise it is not what its
    name says.
    """

    name: str
    environment: str
    words: tuple[str, ...]
    package: str = ""
    settings: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    descriptor: str = ""

    def missing(self, environments: Environments) -> str | None:
        """Tells why it cannot be started, or None."""
        if self.environment in (NATIVE, COMMAND):
            return None
        if environments.python(self.environment) is None:
            return "its environment was not set up"
        if self.package and environments.version(self.environment, self.package) is None:
            return f"{self.package} is not installed"
        return None

    def start(
        self,
        environments: Environments,
        behaviour: str,
        directory: Path,
        cpu: int | None = None,
        variables: Mapping[str, str] = MappingProxyType({}),
    ) -> Server:
        """Starts it, with ``variables`` beside its own.

        Raises BenchmarkError when it does not start, or is not what its name says.
        """
        if self.environment == COMMAND:
            command = list(self.words)
        elif self.environment == NATIVE:
            command = [str(native_program(self.words[0])), behaviour, str(directory)]
        else:
            script = [str(environments.python(self.environment)), str(SERVE / self.words[0])]
            command = [*script, *self.words[1:], behaviour, str(directory)]
        server = Server(
            command,
            cpu,
            scheme="https" if behaviour.startswith("tls") else "http",
            variables={**self.variables, **variables},
            source_tree=self.environment in (OWN, COMMAND),
        )
        if self.descriptor and not server.holds_descriptor(self.descriptor):
            server.stop()
            raise BenchmarkError("it does not run on io_uring")
        return server


def _ours(*words: str) -> tuple[Program, ...]:
    epoll = Program(EPOLL, OWN, words, "", _OURS, {"SOCKETIFY_BACKEND": "epoll"})
    return epoll, Program(URING, OWN, words, "", _OURS, {"SOCKETIFY_BACKEND": "io_uring"})


_OURS = "as it comes, on uvloop where that is installed; the variable SOCKETIFY_BACKEND chooses between epoll and io_uring"
_FILLED = (
    "request, response and websocket factories filled with 10,000 objects, which is more than is ever in use at once; its own "
    "loop on libuv; only its native interface has factories to fill"
)
_CPP = "the same engine, parser and sockets without Python, on epoll, optimized like the library"
_CPP_URING = "the same on io_uring"
_GRANIAN = (
    "one worker, one runtime thread in mt mode (measured faster than st), one blocking thread: all share one core; HTTP/1 "
    "only, uvloop, no access log, websockets only where they are measured, backlog of 4096 and backpressure of 20,000, "
    "so that no connection waits"
)
_UVICORN = (
    "uvloop, httptools, no access log, no lifespan, websockets-sansio (measured faster than websockets) without compression, "
    "keep-alive of 75 s so that idle connections stay"
)
_ZTTP = "the same with the parser zttp"
_GRANIAN_HTTP2 = "the same with both versions of HTTP"
_AETHONAN = "a fork of granian, with its settings"
_H2CORN = (
    "its Server in this process, one runtime thread, uvloop, no access log, no lifespan, backlog of 4096, keep-alive of 75 s"
)
_FASTPYSGI = "its event loop in C (libuv), for ASGI on the loop of asyncio that it makes, no log, no lifespan, backlog of 4096"
_HYPERCORN = "uvloop, h11 (it has no other parser of HTTP/1), no logs, no limit of requests for each connection"
_GUNICORN = (
    "gthread with four threads (measured faster than one): the default worker closes every connection; its parser in C "
    "(gunicorn_h1c; the newest version whose parser the package index has), no logs, sendfile"
)
_GUNICORN_ASGI = (
    "its ASGI worker with HTTP/2 in clear or by ALPN (with h2), uvloop, no logs, no lifespan, 20,000 connections, backlog of "
    "4096"
)
_ROBYN = (
    "one process and one worker, no OpenAPI, no logs; more workers measured slower; no const routes, which never call Python"
)

CPP = Program(CEILING, NATIVE, ("bench_hello",), "", _CPP, {"SOCKETIFY_BACKEND": "epoll"})
CPP_WEBSOCKET = Program(CEILING, NATIVE, ("bench_echo",), "", _CPP, {"SOCKETIFY_BACKEND": "epoll"})
CPP_URING = Program(
    "engine in C++, io_uring", NATIVE, ("bench_hello",), "", _CPP_URING, {"SOCKETIFY_BACKEND": "io_uring"}, IO_URING
)
NATIVE_OURS = _ours("framework.py")
ASGI_OURS = _ours("asgi.py", "socketify")
WSGI_OURS = _ours("wsgi.py", "socketify")
WSGI_THREADS = Program(
    "socketify, 4 threads",
    OWN,
    ("wsgi.py", "socketify"),
    "",
    "the application in a pool of four threads",
    {"SOCKETIFY_BACKEND": "epoll", "BENCH_THREADS": "4"},
)
NATIVE_PUBLISHED = Program(PUBLISHED, "published", ("framework.py",), "socketify", _FILLED, {"BENCH_FACTORIES": "10000"})
ASGI_PUBLISHED = Program(PUBLISHED, "published", ("asgi.py", "socketify"), "socketify", _FILLED)
WSGI_PUBLISHED = Program(PUBLISHED, "published", ("wsgi.py", "socketify"), "socketify", _FILLED)
UVICORN = Program("uvicorn", "peers", ("asgi.py", "uvicorn"), "uvicorn", _UVICORN)
UVICORN_ZTTP = Program("uvicorn, zttp", "peers", ("asgi.py", "uvicorn-zttp"), "uvicorn", _ZTTP)
H2CORN = Program("h2corn", "peers", ("asgi.py", "h2corn"), "h2corn", _H2CORN)
AETHONAN_ASGI = Program("aethonan, asgi", "peers", ("asgi.py", "aethonan-asgi"), "aethonan", _AETHONAN)
AETHONAN_WSGI = Program("aethonan, wsgi", "peers", ("wsgi.py", "aethonan-wsgi"), "aethonan", _AETHONAN)
FASTPYSGI_ASGI = Program("fastpysgi, asgi", "peers", ("asgi.py", "fastpysgi"), "fastpysgi", _FASTPYSGI)
FASTPYSGI_WSGI = Program("fastpysgi, wsgi", "peers", ("wsgi.py", "fastpysgi"), "fastpysgi", _FASTPYSGI)
HYPERCORN = Program("hypercorn", "peers", ("asgi.py", "hypercorn"), "hypercorn", _HYPERCORN)
GRANIAN_ASGI = Program("granian, asgi", "peers", ("asgi.py", "granian-asgi"), "granian", _GRANIAN)
GRANIAN_RSGI = Program("granian, rsgi", "peers", ("asgi.py", "granian-rsgi"), "granian", _GRANIAN)
GRANIAN_WSGI = Program("granian, wsgi", "peers", ("wsgi.py", "granian-wsgi"), "granian", _GRANIAN)
GRANIAN_ASGI_HTTP2 = Program(
    "granian, asgi, HTTP/2", "peers", ("asgi.py", "granian-asgi"), "granian", _GRANIAN_HTTP2, {"BENCH_HTTP": "auto"}
)
GRANIAN_RSGI_HTTP2 = Program(
    "granian, rsgi, HTTP/2", "peers", ("asgi.py", "granian-rsgi"), "granian", _GRANIAN_HTTP2, {"BENCH_HTTP": "auto"}
)
AETHONAN_ASGI_HTTP2 = Program(
    "aethonan, asgi, HTTP/2", "peers", ("asgi.py", "aethonan-asgi"), "aethonan", _AETHONAN, {"BENCH_HTTP": "auto"}
)
GUNICORN_ASGI_HTTP2 = Program("gunicorn, asgi, HTTP/2", "peers", ("asgi.py", "gunicorn"), "gunicorn", _GUNICORN_ASGI)
ROBYN = Program("robyn", "robyn", ("robyn_app.py",), "robyn", _ROBYN)
GUNICORN = Program("gunicorn", "peers", ("wsgi.py", "gunicorn"), "gunicorn", _GUNICORN)
FASTWSGI = Program("fastwsgi", "peers", ("wsgi.py", "fastwsgi"), "fastwsgi", "its event loop in C, no log")
BJOERN = Program("bjoern", "peers", ("wsgi.py", "bjoern"), "bjoern", "its event loop in C (libev), backlog of 4096")
WEBSOCKETS = Program(
    "websockets",
    "peers",
    ("websocket_peers.py", "websockets"),
    "websockets",
    "its asyncio server on uvloop, no compression, its own broadcast()",
)
PICOWS = Program(
    "picows", "peers", ("websocket_peers.py", "picows"), "picows", "uvloop, a listener in Python, no copies beyond one"
)

#: For each interface what serves it; the order is that of the tables.
FRAMEWORKS = (CPP, *NATIVE_OURS, NATIVE_PUBLISHED, ROBYN, GRANIAN_RSGI)
ASGI = (*ASGI_OURS, ASGI_PUBLISHED, UVICORN, UVICORN_ZTTP, GRANIAN_ASGI, H2CORN, FASTPYSGI_ASGI, HYPERCORN)
WSGI = (*WSGI_OURS, WSGI_THREADS, WSGI_PUBLISHED, GRANIAN_WSGI, GUNICORN, FASTPYSGI_WSGI, FASTWSGI, BJOERN)
#: What serves the applications that say something about a user's: socketify as it comes.
ASGI_APPLICATIONS = (ASGI_OURS[0], UVICORN, UVICORN_ZTTP, GRANIAN_ASGI, AETHONAN_ASGI, H2CORN, FASTPYSGI_ASGI)
WSGI_APPLICATIONS = (WSGI_OURS[0], GRANIAN_WSGI, AETHONAN_WSGI, FASTPYSGI_WSGI, BJOERN, GUNICORN)
ASGI_WEBSOCKETS = (UVICORN, GRANIAN_ASGI)
