"""Files as responses: conditional requests, ranges, precompressed variants, constant memory (RFC 9110 sections 13, 14)."""

from __future__ import annotations

import asyncio
import mimetypes
import os
import stat
from collections.abc import Coroutine
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from typing import Any, Optional, Union

from ..native import lib
from ..wire.conditional import Answer, Representation, answer
from ..wire.content_codings import accepted_codings
from .file_copy import is_in_memory
from .file_pump import pump_file
from .request import Request
from .response import Response
from .sized_body import wait_writable

#: Up to this size a file is read at once and sent with its head; larger ones are copied by the kernel.
_SMALL_MAX = 128 * 1024
#: In order of preference.
_VARIANTS = (("br", ".br"), ("zstd", ".zst"), ("gzip", ".gz"))
_VARIANT_CODINGS = tuple(coding for coding, _ in _VARIANTS)
_TEXT_TYPES = ("application/javascript", "application/json", "application/xml", "image/svg+xml", "application/manifest+json")
_OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


@dataclass
class OpenFile:
    """An open file and what is known of it.

    Args:
        descriptor: whoever has it closes it.
        representation: size, tag and time.
        encoding: the Content-Encoding of a precompressed variant, or None.
        varies: whether there are variants.

    """

    __slots__ = ("descriptor", "encoding", "representation", "varies")

    descriptor: int
    representation: Representation
    encoding: Optional[str]
    varies: bool


def accepted_variants(req: Request) -> set[str]:
    """Return the codings of precompressed variants that a client accepts."""
    return accepted_codings(req.get_header("accept-encoding"), _VARIANT_CODINGS)


def open_file(path: str, encodings: Optional[set[str]] = None, root: Optional[str] = None) -> Optional[OpenFile]:
    """Open a regular file, or a precompressed variant of it. May wait for the disk.

    Args:
        path: of the file.
        encodings: content codings that the client accepts; None to look for no variants.
        root: the directory, as a real path, that a variant must be in even if it is a symbolic link; None for any.

    Returns:
        None where there is no such regular file that may be read.

    """
    opened = open_regular(path)
    return opened if opened is None or encodings is None else variant_of(opened, path, encodings, root)


def variant_of(opened: OpenFile, path: str, encodings: set[str], root: Optional[str] = None) -> OpenFile:
    """Return the precompressed variant that the client prefers to an open file, which is then closed; else the file."""
    for coding, suffix in _VARIANTS:
        name = path + suffix
        if not _is_file(name):
            continue
        opened.varies = True
        if coding in encodings and (root is None or is_inside(os.path.realpath(name), root)):
            variant = open_regular(name)
            if variant is not None:
                os.close(opened.descriptor)
                variant.encoding, variant.varies = coding, True
                return variant
    return opened


def is_inside(path: str, root: str) -> bool:
    """Return whether a real path is below a directory, given as a real path."""
    return path.startswith(root if root.endswith("/") else root + "/")


def _is_file(path: str) -> bool:
    # There is mostly no such file, and finding that out costs less without an exception.
    return os.access(path, os.F_OK) and os.path.isfile(path)  # noqa: PTH113


def open_regular(path: str) -> Optional[OpenFile]:
    """Open a file; None where it is no regular one, or may not be read."""
    try:
        # Without waiting for a writer, should it be a FIFO.
        descriptor = os.open(path, _OPEN_FLAGS)
    except (OSError, ValueError):
        return None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        return None
    etag = f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
    return OpenFile(descriptor, Representation(status.st_size, etag, int(status.st_mtime)), None, False)


def content_type_of(path: str) -> str:
    """Guess the media type by the name; text is UTF-8."""
    guessed, encoding = mimetypes.guess_type(path)
    if guessed is None or encoding is not None:
        return "application/octet-stream"
    return f"{guessed}; charset=utf-8" if guessed.startswith("text/") or guessed in _TEXT_TYPES else guessed


@lru_cache(maxsize=1024)
def _http_date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)


def head_of(opened: OpenFile, result: Answer, content_type: str, cache_control: Optional[str]) -> list[tuple[str, str]]:
    """Return the fields of the response to a request for a file."""
    what = opened.representation
    fields = [("ETag", what.etag), ("Last-Modified", _http_date(what.modified))]
    if opened.varies:
        fields.append(("Vary", "Accept-Encoding"))
    if cache_control is not None:
        fields.append(("Cache-Control", cache_control))
    if result.status in (304, 412):
        return fields
    if result.status == 416:
        return [("Content-Range", f"bytes */{what.size}")]
    fields += [("Content-Type", content_type), ("Accept-Ranges", "bytes")]
    if opened.encoding is not None:
        fields.append(("Content-Encoding", opened.encoding))
    if result.status == 206:
        fields.append(("Content-Range", f"bytes {result.start}-{result.start + result.length - 1}/{what.size}"))
    return fields


async def sendfile(
    res: Response,
    req: Request,
    path: Union[str, os.PathLike[str]],
    *,
    content_type: Optional[str] = None,
    cache_control: Optional[str] = None,
    precompressed: bool = False,
) -> Response:
    """Send a file, or the part of it that the client asks for, as fast as the client takes it, in constant memory.

    Args:
        res: the response.
        req: its request, whose preconditions and range count.
        path: of the file; 404 is the answer where it is missing or is not a regular file.
        content_type: None to guess it by the name.
        cache_control: value of Cache-Control, or None for none.
        precompressed: whether ``path.br``, ``path.zst`` or ``path.gz`` is sent to clients that accept it.

    Raises:
        TypeError: the path is no path.

    """
    name = os.fspath(path)
    method = req.get_method()
    req.preserve()
    encodings = accepted_variants(req) if precompressed else None
    opened = await asyncio.get_running_loop().run_in_executor(None, open_file, name, encodings)
    if opened is None:
        return res.send("Not Found", status=404)
    sending = send_opened(res, req, method, opened, content_type or content_type_of(name), cache_control)
    return sending if isinstance(sending, Response) else await sending


def send_opened(
    res: Response, req: Request, method: str, opened: OpenFile, content_type: str, cache_control: Optional[str]
) -> Union[Response, Coroutine[Any, Any, Response]]:
    """Send an open file, and close it.

    Returns:
        The response if it is complete, else an awaitable.

    """
    descriptor = opened.descriptor
    try:
        result = answer(method, req.get_header, opened.representation)
        fields = head_of(opened, result, content_type, cache_control)
        length = result.length
        if length == 0 and (method != "HEAD" or result.status != 200):
            return res.send(b"", None, result.status, fields)
        if method == "HEAD":
            # HEAD gets the length of the body that is not sent.
            _write_head(res, result, fields)
            return res.write_header("Content-Length", length).end_without_body()
        if length > _SMALL_MAX or not is_in_memory(descriptor, result.start, length, unknown=True):
            descriptor = -1
            return _send_waiting(res, opened.descriptor, result, fields)
        return _send_small(res, os.pread(descriptor, length, result.start), result, fields)
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _write_head(res: Response, result: Answer, fields: list[tuple[str, str]]) -> None:
    res.write_status(result.status)
    for name, value in fields:
        res.write_header(name, value)


def _send_small(res: Response, content: bytes, result: Answer, fields: list[tuple[str, str]]) -> Response:
    if len(content) < result.length:
        # The file became shorter: the length that its fields announce cannot be sent.
        return res.close()
    return res.send(content, None, result.status, fields)


async def _send_waiting(res: Response, descriptor: int, result: Answer, fields: list[tuple[str, str]]) -> Response:
    """Send what is large, or not in memory, and close the file."""
    try:
        if result.length <= _SMALL_MAX:
            loop = asyncio.get_running_loop()
            content = await loop.run_in_executor(None, os.pread, descriptor, result.length, result.start)
            return _send_small(res, content, result, fields)
        _write_head(res, result, fields)
        sink = _ResponseSink(res, result.length)
        await sink.begin()
        complete = await pump_file(sink, descriptor, result.start, result.length)
        sink.end()
        # If the file became shorter, the announced length cannot be sent.
        return res if complete else res.close()
    finally:
        os.close(descriptor)


class _ResponseSink:
    """A response whose whole body is a part of a file.

    Args:
        res: the response; its head is written and not sent yet.
        length: of the body.

    """

    def __init__(self, res: Response, length: int) -> None:
        self._res = res
        self._exchange = res.exchange_
        self._length = length

    async def begin(self) -> None:
        """Send the head first, where the kernel copies the body behind it."""
        if not self._exchange.core.is_secure:
            self._res.try_end(b"", self._length)
            if not self.is_over:
                await self.await_room()

    def end(self) -> None:
        """End the response, if all of its body was sent."""
        if not self.is_over and not self._exchange.core.is_secure:
            self._res.try_end(b"", self._length)

    @property
    def is_over(self) -> bool:
        """Whether the response is complete, or the client left."""
        return not self._exchange.handle

    def connection(self) -> int:
        """Return the connection's descriptor; negative over TLS, and while something waits in memory, which goes first."""
        return -1 if self._exchange.core.is_secure else int(lib.sk_res_descriptor(self._exchange.handle))

    def count_sent(self, size: int) -> None:
        """Count what the kernel copied."""
        if not self.is_over:
            lib.sk_res_count_sent(self._exchange.handle, size)

    async def await_room(self) -> None:
        """Wait until the connection has room."""
        await wait_writable(self._exchange, self._res, lib.sk_res_await_room)

    async def send_piece(self, piece: bytes) -> None:
        """Send a piece."""
        await self._res.send_chunk(piece, self._length)
