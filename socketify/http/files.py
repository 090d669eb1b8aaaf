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
from ..wire.conditional import Answer, Representation, accepted_encodings, answer
from .file_copy import copy_to_connection, is_in_memory
from .request import Request
from .response import Response
from .sized_body import wait_writable

#: Up to here a file is read at once and sent with its head; larger ones are copied by the kernel.
_SMALL_MAX = 128 * 1024
#: Read at once of a large file where the kernel cannot copy it: over TLS.
_CHUNK_BYTES = 256 * 1024
#: Copied by the kernel before other connections get their turn.
_TURN_BYTES = 2 * 1024 * 1024
#: By preference.
_VARIANTS = (("br", ".br"), ("gzip", ".gz"))
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


def open_file(path: str, encodings: Optional[set[str]] = None, root: Optional[str] = None) -> Optional[OpenFile]:
    """Open a regular file, or a precompressed variant of it. May wait for the disk.

    Args:
        path: of the file.
        encodings: content codings that the client accepts; None to look for no variants.
        root: the directory, as a real path, that a variant must be in, also where it is a symbolic link; None for any.

    Returns:
        None where there is no such regular file that may be read.

    """
    opened = open_regular(path)
    return opened if opened is None or encodings is None else variant_of(opened, path, encodings, root)


def variant_of(opened: OpenFile, path: str, encodings: set[str], root: Optional[str] = None) -> OpenFile:
    """Give the precompressed variant that the client prefers instead of an open file, which is closed then; else the file."""
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
    """Tell whether a real path is below a directory, given as a real path."""
    return path.startswith(root if root.endswith("/") else root + "/")


def _is_file(path: str) -> bool:
    # Mostly there is none, which costs less without an exception.
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
    """Give the fields of the response to a request for a file."""
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
        path: of the file; a missing one, or what is no regular file, is answered with 404.
        content_type: None to guess it by the name.
        cache_control: value of Cache-Control, or None for none.
        precompressed: whether ``path.br`` or ``path.gz`` is sent to clients that accept it.

    Raises:
        TypeError: the path is no path.

    """
    name = os.fspath(path)
    method = req.get_method()
    req.preserve()
    encodings = accepted_encodings(req.get_header("accept-encoding")) if precompressed else None
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
        The response where it is complete; else what must be awaited.

    """
    descriptor = opened.descriptor
    try:
        result = answer(method, req.get_header, opened.representation)
        fields = head_of(opened, result, content_type, cache_control)
        length = result.length
        if length == 0 and (method != "HEAD" or result.status != 200):
            return res.send(b"", None, result.status, fields)
        if method == "HEAD":
            # It gets the length of what is not sent.
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
        # The file became shorter: what its fields announce cannot be sent.
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
        complete = await (_read_and_send if res.exchange.core.is_secure else _copy)(
            res, descriptor, result.start, result.length
        )
        # Where the file became shorter, what was announced cannot be sent.
        return res if complete else res.close()
    finally:
        os.close(descriptor)


async def _read_and_send(res: Response, descriptor: int, offset: int, length: int) -> bool:
    """Give False where the file ends too early."""
    end, done = offset + length, False
    while offset < end and not done:
        taken, done = await _send_piece(res, descriptor, offset, end, length)
        if not taken:
            return False
        offset += taken
    return True


async def _send_piece(res: Response, descriptor: int, offset: int, end: int, length: int) -> tuple[int, bool]:
    """Read a piece and send it; how much, and whether the response is complete."""
    count = min(_CHUNK_BYTES, end - offset)
    if is_in_memory(descriptor, offset, count, unknown=False):
        piece = os.pread(descriptor, count, offset)
    else:
        piece = await asyncio.get_running_loop().run_in_executor(None, os.pread, descriptor, count, offset)
    if not piece:
        return 0, False
    return len(piece), (await res.send_chunk(piece, length))[1]


async def _copy(res: Response, descriptor: int, offset: int, length: int) -> bool:
    """Have the kernel copy; False where the file ends too early."""
    end = offset + length
    exchange = res.exchange
    res.try_end(b"", length)
    while exchange.handle:
        # Also to let the head leave before, and other connections have their turn between.
        await wait_writable(exchange, res, lib.sk_res_await_room)
        if not exchange.handle:
            break
        connection = lib.sk_res_descriptor(exchange.handle)
        if connection < 0:
            # Something waits in memory still, which the body must come after.
            taken, done = await _send_piece(res, descriptor, offset, end, length)
            if done or not taken:
                return done
            offset += taken
            continue
        turn = min(_TURN_BYTES, end - offset)
        if is_in_memory(descriptor, offset, turn, unknown=False):
            sent, full = copy_to_connection(connection, descriptor, offset, turn)
        else:
            sent, full = await _copy_in_thread(connection, descriptor, offset, turn)
        if exchange.handle and sent:
            lib.sk_res_count_sent(exchange.handle, sent)
        offset += sent
        if offset == end:
            res.try_end(b"", length)
            break
        if not full and sent < turn:
            return False
    return True


async def _copy_in_thread(connection: int, descriptor: int, offset: int, length: int) -> tuple[int, bool]:
    # The connection may be closed, and its number given to another, while the thread writes to it.
    connection = os.dup(connection)
    copying = asyncio.get_running_loop().run_in_executor(None, copy_to_connection, connection, descriptor, offset, length)
    try:
        return await asyncio.shield(copying)
    except asyncio.CancelledError:
        # Nor may the file's, which is closed next.
        await asyncio.wait([copying])
        raise
    finally:
        os.close(connection)
