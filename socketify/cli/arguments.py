"""The flags, their defaults, and the environment variables that replace them."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Callable, NoReturn, Optional, Union

from .. import __version__
from ..core.limits import Limits
from ..core.observing import USUAL_FORWARDED_HEADERS
from ..core.options import TLS_VERSIONS, TRUE_WORDS
from ..native.abi import WS_IDLE_TIMEOUT_MAX, WS_IDLE_TIMEOUT_MIN, WS_LIFETIME_MAX
from ..process.thread_group import THREADS_MAX
from ..process.worker_options import RSS_MIN, SECONDS_MAX
from ..server.metrics_server import metrics_place
from ..server.serve import INTERFACES
from ..wire.headers import field_name, field_value
from .compression import add_compression, check_compression

#: What ``--loop`` knows by name.
EVENT_LOOPS = ("auto", "asyncio", "uvloop")

_PREFIX = "SOCKETIFY_"
_SERVER_HEADER_MAX = 128
_LIMITS = Limits()
#: Flags that mean nothing without another one.
_NEEDS = (
    ("uds_permissions", "uds"),
    ("ssl_client_certificate", "ssl_ca_certs"),
    ("ssl_crl", "ssl_ca_certs"),
    ("worker_lifetime_jitter", "worker_lifetime"),
)
#: What a single worker has a supervisor for.
NEEDS_SUPERVISOR = ("metrics", "limit_max_requests", "timeout_worker", "timeout_start", "max_rss", "worker_lifetime")
_MODE_MAX = 0o777
_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30}
_FALSE = ("0", "false", "no", "off", "f", "n")


def boolean(text: str) -> bool:
    """Read a flag's value."""
    word = text.lower()
    if word in TRUE_WORDS:
        return True
    if word in _FALSE:
        return False
    message = f"must be True or False, not {text!r}"
    raise argparse.ArgumentTypeError(message)


def boolean_or_text(text: str) -> Union[bool, str]:
    """Read a flag that turns something on or off, or names its value."""
    try:
        return boolean(text)
    except argparse.ArgumentTypeError:
        if not 0 < len(text) <= _SERVER_HEADER_MAX or not text.isascii() or not text.isprintable():
            message = f"must be True, False, or up to {_SERVER_HEADER_MAX} printable characters, not {text!r}"
            raise argparse.ArgumentTypeError(message) from None
        return text


def boolean_or_name(text: str) -> Union[bool, str]:
    """Read a flag that turns something on or off, or names a field."""
    try:
        return boolean(text)
    except argparse.ArgumentTypeError:
        return _checked(text, field_name).decode("latin-1")


def event_loop(text: str) -> str:
    """Read which event loop serves."""
    if text not in EVENT_LOOPS and not all(text.partition(":")):
        message = f"must be {', '.join(EVENT_LOOPS)}, or module:factory, not {text!r}"
        raise argparse.ArgumentTypeError(message)
    return text


def header(text: str) -> tuple[str, str]:
    """Read name and value of a field."""
    name, colon, value = text.partition(":")
    if not colon:
        message = f"must be NAME:VALUE, not {text!r}"
        raise argparse.ArgumentTypeError(message)
    key = _checked(name.strip(), field_name)
    _checked(value.strip(), lambda given: field_value(key, given))
    return name.strip(), value.strip()


def _checked(text: str, check: Callable[[str], bytes]) -> bytes:
    try:
        return check(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def idle_seconds(text: str) -> int:
    """Read the idle time-out of websockets."""
    value = at_least(0, WS_IDLE_TIMEOUT_MAX)(text)
    if 0 < value < WS_IDLE_TIMEOUT_MIN:
        message = f"must be 0, or from {WS_IDLE_TIMEOUT_MIN} to {WS_IDLE_TIMEOUT_MAX}, not {value}"
        raise argparse.ArgumentTypeError(message)
    return value


def at_least(least: int, most: int = 2**31 - 1) -> Callable[[str], int]:
    """Read an int that has bounds."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            message = f"must be an int, not {text!r}"
            raise argparse.ArgumentTypeError(message) from None
        if not least <= value <= most:
            message = f"must be from {least} to {most}, not {value}"
            raise argparse.ArgumentTypeError(message)
        return value

    return read


def mode(text: str) -> int:
    """Read the mode of a file."""
    try:
        value = int(text, 8)
    except ValueError:
        value = -1
    if not 0 <= value <= _MODE_MAX:
        message = f"must be from 0 to 777, octal, not {text!r}"
        raise argparse.ArgumentTypeError(message)
    return value


def memory(text: str) -> int:
    """Read a size of memory, such as 512M."""
    number, unit = (text[:-1], text[-1:].upper()) if text[-1:].upper() in _UNITS else (text, "")
    if not number.isdecimal() or not text.isascii():
        message = f"must be a number of bytes, or of K, M or G, as 512M, not {text!r}"
        raise argparse.ArgumentTypeError(message)
    value = int(number) * _UNITS.get(unit, 1)
    if not RSS_MIN <= value < 2**63:
        message = f"must be at least {RSS_MIN} bytes, not {text!r}"
        raise argparse.ArgumentTypeError(message)
    return value


def place(text: str) -> tuple[str, int]:
    """Read the place of a metrics port."""
    try:
        return metrics_place(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


class _Parser(argparse.ArgumentParser):
    """Reports a mistake in one line, as the usage of all flags would hide it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (--help lists the flags)\n")


def make_parser() -> argparse.ArgumentParser:
    """Make the parser; ``-h`` is the host, as it always was."""
    parser = _Parser(
        prog="socketify",
        description="Serves an ASGI, WSGI or SSGI application, or a function run(app) of its own interface.",
        epilog=f"APP and all flags can be environment variables too: {_PREFIX}APP, {_PREFIX}PORT for --port, and so on.",
        add_help=False,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("app", metavar="APP", nargs="?", help="module:attribute")
    add("--help", action="help", help="show this and leave")
    add("--version", "-v", action="version", version=f"socketify {__version__}", help="show the version and leave")

    add = parser.add_argument_group("where to listen").add_argument
    add("--host", "-h", default="127.0.0.1", help="name or address (default: %(default)s)")
    add("--port", "-p", type=at_least(0, 65535), default=8000, help="0 picks one (default: %(default)s)")
    add("--uds", metavar="PATH", help="a Unix-domain socket, instead of host and port")
    add(
        "--uds-permissions",
        type=mode,
        metavar="OCTAL",
        help="of its file (default: that of the file it replaces, or 666, less what --umask says)",
    )
    add("--fd", type=at_least(0), metavar="N", help="a descriptor that listens already, instead of host and port")
    add(
        "--backlog", type=at_least(1, 65535), default=2048, metavar="N", help="connections that may wait (default: %(default)s)"
    )
    add("--disable-listen-log", type=boolean, default=False, metavar="BOOL", help="do not say where it listens")

    add = parser.add_argument_group("the application").add_argument
    add("--interface", choices=INTERFACES, default="auto", help="which it has (default: %(default)s)")
    add("--factory", action="store_true", help="APP is called to make the application")
    add("--app-dir", default=".", metavar="DIR", help="where modules are looked for first (default: the current folder)")
    add("--http", choices=("auto", "1", "2"), default="auto", help="versions that clients may speak (default: %(default)s)")
    add("--root-path", default="", metavar="PATH", help="where the application is mounted")
    add("--lifespan", choices=("auto", "on", "off"), default="auto", help="of ASGI applications (default: %(default)s)")
    add("--pathsend", action="store_true", help="let ASGI applications name files, which the kernel copies to the client")
    add("--env-file", metavar="PATH", help="variables that the application finds in its environment (needs python-dotenv)")

    add = parser.add_argument_group("processes and threads").add_argument
    add("--workers", "-w", type=at_least(1, 1024), metavar="N", help="processes (default: WEB_CONCURRENCY, or 1)")
    add(
        "--timeout-worker",
        type=at_least(0, SECONDS_MAX),
        metavar="SECONDS",
        help="a worker whose event loop does not run for so long is killed and replaced; 0 for no limit (default: 30)",
    )
    add(
        "--timeout-start",
        type=at_least(0, SECONDS_MAX),
        metavar="SECONDS",
        help="the same for one that does not serve after so long (default: 300)",
    )
    add("--max-rss", type=memory, metavar="BYTES", help="a worker with more memory is replaced; 512M and 2G are possible, too")
    add("--worker-lifetime", type=at_least(1, SECONDS_MAX), metavar="SECONDS", help="a worker is replaced after so long")
    add(
        "--worker-lifetime-jitter",
        type=at_least(0, SECONDS_MAX),
        metavar="SECONDS",
        help="up to so much longer (default: a tenth of the lifetime)",
    )
    add("--pid", metavar="PATH", help="a file for the number of the process, which is removed when that ends")
    add("--user", metavar="NAME", help="who to be when the sockets are bound, a name or a number (needs root)")
    add("--group", metavar="NAME", help="the group (default: the user's)")
    add("--umask", type=mode, metavar="OCTAL", help="of files that are made (default: as it was)")
    add(
        "--threads-per-worker",
        type=at_least(1, THREADS_MAX),
        default=1,
        metavar="N",
        help="of each process, with an event loop and an app of its own in each (default: %(default)s)",
    )
    add("--threads", type=at_least(1, 1024), default=1, metavar="N", help="of a WSGI application (default: %(default)s)")
    add(
        "--loop",
        type=event_loop,
        default="auto",
        metavar="LOOP",
        help="auto, asyncio, uvloop, or module:factory for what makes another event loop (default: %(default)s)",
    )
    add("--debug", action="store_true", help="for development: errors in responses, and warnings about what blocks the loop")
    add("--reload", action="store_true", help="restart when a file changes (needs watchfiles)")
    add("--reload-dir", action="append", metavar="DIR", help="what to watch, several times (default: --app-dir)")

    add = parser.add_argument_group("websockets").add_argument
    add("--ws", default="auto", metavar="WS", help="auto, none, or module:ws (default: %(default)s)")
    add("--ws-max-size", type=at_least(0), default=16777216, metavar="BYTES", help="of a message (default: %(default)s)")
    add("--ws-idle-timeout", type=idle_seconds, default=20, metavar="SECONDS", help="0 for none (default: %(default)s)")
    add(
        "--ws-max-lifetime",
        type=at_least(0, WS_LIFETIME_MAX),
        default=0,
        metavar="MINUTES",
        help="0 for no limit (default: %(default)s)",
    )
    add("--ws-max-backpressure", type=at_least(0), default=16777216, metavar="BYTES", help="default: %(default)s")
    for name, default in (
        ("--ws-auto-ping", True),
        ("--ws-reset-idle-on-send", True),
        ("--ws-per-message-deflate", False),
        ("--ws-close-on-backpressure-limit", False),
    ):
        add(name, type=boolean, default=default, metavar="BOOL", help="default: %(default)s")

    add("--broker", metavar="URL", help="what shares topics with other processes, or none (default: with workers, their own)")
    add(
        "--broker-required",
        type=boolean,
        nargs="?",
        const=True,
        default=True,
        metavar="BOOL",
        help="fail when it cannot be reached at the start (default: %(default)s)",
    )
    add("--no-broker-required", action="store_false", dest="broker_required", help="serve, and go on trying")

    add = parser.add_argument_group("limits").add_argument
    add(
        "--limit-concurrency",
        type=at_least(1),
        metavar="N",
        help="requests and websockets of a worker at a time; further ones get 503",
    )
    add("--limit-max-requests", type=at_least(1), metavar="N", help="a worker is replaced after so many requests")
    add(
        "--limit-max-requests-jitter",
        type=at_least(0),
        default=0,
        metavar="N",
        help="up to so many more (default: %(default)s)",
    )
    add("--limit-max-body-size", type=at_least(0, 2**63 - 1), metavar="BYTES", help="larger requests get 413")
    add("--limit-max-connections", type=at_least(1), metavar="N", help="open connections of a worker; further ones wait")
    for name, unit, text in (
        ("--limit-max-target-bytes", "BYTES", "of a request's target; then 414"),
        ("--limit-max-header-bytes", "BYTES", "of all fields of a request; then 431"),
        ("--limit-max-header-count", "N", "fields of a request; then 431"),
        ("--limit-max-streams", "N", "of a connection of HTTP/2 at a time; further ones are refused"),
        ("--limit-min-body-rate", "BYTES", "that a body must bring per second; else 408"),
    ):
        default = getattr(_LIMITS, name[len("--limit-") :].replace("-", "_"))
        add(name, type=at_least(1), default=default, metavar=unit, help=f"{text} (default: %(default)s)")
    for name, text in (
        ("header", "for a request's head"),
        ("body", "in which a body must keep its rate"),
        ("write", "for a client that reads nothing"),
        ("response", "for an application that writes nothing of a response"),
    ):
        default = getattr(_LIMITS, f"{name}_timeout")
        add(
            f"--timeout-{name}",
            type=at_least(0, 86400),
            default=default,
            metavar="SECONDS",
            help=f"{text} (default: %(default)s)",
        )
    add("--timeout-keep-alive", type=at_least(0, 86400), default=10, metavar="SECONDS", help="default: %(default)s")
    add("--timeout-graceful-shutdown", type=at_least(0, 86400), default=30, metavar="SECONDS", help="default: %(default)s")

    add_compression(parser, boolean)

    add = parser.add_argument_group("TLS").add_argument
    add("--ssl-keyfile", metavar="PATH", help="the private key, PEM")
    add("--ssl-certfile", metavar="PATH", help="the certificate and its chain, PEM")
    add("--ssl-keyfile-password", metavar="TEXT", help="of an encrypted key")
    add("--ssl-ca-certs", metavar="PATH", help="who signs the certificates of clients")
    add("--ssl-client-certificate", choices=("optional", "required"), help="of clients (default: required with --ssl-ca-certs)")
    add("--ssl-crl", metavar="PATH", help="which certificates of clients are revoked, PEM, of each CA")
    add("--ssl-ciphers", metavar="TEXT", help="names with colons between")
    add("--ssl-reload", action="store_true", help="look for changes of these files every five seconds, and read them again")
    add("--ssl-minimum-version", choices=TLS_VERSIONS, help="of TLS (default: 1.2)")
    add("--ssl-maximum-version", choices=TLS_VERSIONS, help="of TLS (default: the newest)")

    add = parser.add_argument_group("proxies and logs").add_argument
    add(
        "--proxy-headers",
        type=boolean,
        nargs="?",
        const=True,
        default=False,
        metavar="BOOL",
        help="believe proxies who the client is (default: %(default)s)",
    )
    add("--forwarded-allow-ips", default="127.0.0.1", metavar="LIST", help="of these proxies; * for all (default: %(default)s)")
    add(
        "--trusted-hops",
        type=at_least(1, 100),
        metavar="N",
        help="of so many proxies in a row in front, wherever they are, instead of --forwarded-allow-ips",
    )
    add(
        "--forwarded-headers",
        default=",".join(USUAL_FORWARDED_HEADERS),
        metavar="LIST",
        help="in these of Forwarded and X-Forwarded-For, -Proto, -Host, -Port, -Prefix (default: %(default)s)",
    )
    add(
        "--proxy-protocol",
        choices=("off", "optional", "required"),
        nargs="?",
        const="required",
        default="off",
        help="connections begin with a header of the PROXY protocol, version 1 or 2 (default: %(default)s)",
    )
    add("--header", type=header, action="append", metavar="NAME:VALUE", help="of every response, several times")
    add(
        "--request-id",
        type=boolean_or_name,
        nargs="?",
        const=True,
        default=False,
        metavar="NAME",
        help="name requests, or take the name from a field (default: False; X-Request-ID without NAME)",
    )
    add(
        "--otel",
        type=boolean,
        nargs="?",
        const=True,
        default=False,
        metavar="BOOL",
        help="trace and measure requests through OpenTelemetry, of socketify and ssgi applications (default: %(default)s)",
    )
    add("--server-header", type=boolean_or_text, default=True, metavar="BOOL|TEXT", help="send Server (default: %(default)s)")
    add("--date-header", type=boolean, default=True, metavar="BOOL", help="send Date (default: %(default)s)")
    add(
        "--access-log",
        metavar="FORMAT",
        help="a line for each response: off, common, combined, json, json:FIELD,..., or atoms as %%(h)s or %%h "
        "(default: off; combined with one of the next two)",
    )
    add("--access-log-file", metavar="PATH", help="its file, opened anew on SIGUSR1; - for standard output (the default)")
    add("--access-logger", metavar="NAME", help="the logger that gets its lines instead")
    add("--metrics", type=place, metavar="HOST:PORT", help="answer metrics, health and a status page there")
    add("--log-config", metavar="PATH", help="a dictConfig of logging as JSON, YAML or TOML")
    add("--log-level", choices=("debug", "info", "warning", "error", "critical"), default="info", help="default: %(default)s")
    add("--print-config", action="store_true", help="show what would be used and leave")
    add("--print-completion", choices=("bash", "zsh", "tcsh"), help="a script for the shell (needs shtab)")

    add = parser.add_argument_group("objects made in advance").add_argument
    add("--req-res-factory-maxitems", type=at_least(0), default=0, metavar="N", help="default: %(default)s")
    add("--ws-factory-maxitems", type=at_least(0), default=0, metavar="N", help="default: %(default)s")
    add("--task-factory-maxitems", type=at_least(0), default=100000, metavar="N", help="default: %(default)s")
    return parser


def parse_arguments(arguments: Optional[Sequence[str]] = None, environ: Mapping[str, str] = os.environ) -> argparse.Namespace:
    """Read the command line; environment variables replace flags that are missing. Exit with status 2 for a wrong one."""
    parser = make_parser()
    for action in _flags(parser):
        text = environ.get(_PREFIX + action.dest.upper())
        if text is not None:
            parser.set_defaults(**{action.dest: _from_environment(parser, action, text)})
    parser.set_defaults(app=environ.get(_PREFIX + "APP"))
    settings = parser.parse_args(arguments)
    if settings.workers is None:
        settings.workers = _workers(parser, environ)
    _check_together(parser, settings)
    return settings


def _check_together(parser: argparse.ArgumentParser, settings: argparse.Namespace) -> None:
    """Exit if flags contradict each other, or name files that do not exist."""
    if settings.app is None and settings.print_completion is None:
        parser.error("APP is missing: which module and attribute, as in main:app")
    places = [name for name in ("uds", "fd") if getattr(settings, name) is not None]
    if len(places) > 1:
        parser.error("--uds excludes --fd")
    given = [name for name in ("host", "port") if getattr(settings, name) != parser.get_default(name)]
    if places and given:
        parser.error(f"--{places[0]} excludes --{given[0]}")
    for name, directories in (("--app-dir", [settings.app_dir]), ("--reload-dir", settings.reload_dir or [])):
        for directory in directories:
            if not Path(directory).is_dir():
                parser.error(f"{name}: no such directory: {directory!r}")
    for name, needed in _NEEDS:
        if getattr(settings, name) is not None and getattr(settings, needed) is None:
            parser.error(f"--{name.replace('_', '-')} needs --{needed.replace('_', '-')}")
    _check_tls(parser, settings)
    check_compression(parser, settings)
    if settings.access_log_file is not None and settings.access_logger is not None:
        parser.error("--access-log-file excludes --access-logger")
    _check_reload(parser, settings)


def _check_reload(parser: argparse.ArgumentParser, settings: argparse.Namespace) -> None:
    """Exit where something of workers is asked for beside --reload, which has none."""
    if not settings.reload:
        return
    if settings.workers > 1:
        parser.error("--reload excludes --workers")
    for name in NEEDS_SUPERVISOR:
        if getattr(settings, name) is not None:
            parser.error(f"--reload excludes --{name.replace('_', '-')}")


def has_supervisor(settings: argparse.Namespace) -> bool:
    """Return whether workers serve, who have a supervisor."""
    return settings.workers > 1 or any(getattr(settings, name) for name in NEEDS_SUPERVISOR)


def _check_tls(parser: argparse.ArgumentParser, settings: argparse.Namespace) -> None:
    """Exit where something of TLS is asked for without a certificate: nobody must get plain HTTP then."""
    for name, value in vars(settings).items():
        if name.startswith("ssl_") and value is not None and value is not False and settings.ssl_certfile is None:
            parser.error(f"--{name.replace('_', '-')} needs --ssl-certfile")


def _flags(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    actions = parser._actions  # noqa: SLF001 - argparse has no other way to list them
    return [each for each in actions if each.option_strings and each.dest not in ("help", "version", "print_config")]


def _from_environment(parser: argparse.ArgumentParser, action: argparse.Action, text: str) -> Any:
    name = _PREFIX + action.dest.upper()
    try:
        value: Any = boolean(text) if action.nargs == 0 else text
        if callable(action.type):
            value = action.type(text)
    except argparse.ArgumentTypeError as error:
        parser.error(f"{name}: {error}")
    if action.choices is not None and value not in action.choices:
        parser.error(f"{name}: must be one of {', '.join(action.choices)}, not {text!r}")
    is_list = isinstance(action, argparse._AppendAction)  # noqa: SLF001 - nothing else says that it is one
    return [value] if is_list else value


def _workers(parser: argparse.ArgumentParser, environ: Mapping[str, str]) -> int:
    try:
        return at_least(1, 1024)(environ.get("WEB_CONCURRENCY") or "1")
    except argparse.ArgumentTypeError as error:
        parser.error(f"WEB_CONCURRENCY: {error}")
