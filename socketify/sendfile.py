"""Files as responses: conditional requests, ranges, precompressed variants, constant memory (RFC 9110 sections 13, 14)."""

from __future__ import annotations

import asyncio
import mimetypes
import os
import stat
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import BinaryIO, Optional, Union

from .conditional import Answer, Representation, accepted_encodings, answer
from .request import Request
from .response import Response

#: Read at once; also what a response has in memory of a large file.
_CHUNK_BYTES = 256 * 1024
#: By preference.
_VARIANTS = (("br", ".br"), ("gzip", ".gz"))
_TEXT_TYPES = ("application/javascript", "application/json", "application/xml", "image/svg+xml", "application/manifest+json")


@dataclass
class OpenFile:
    """An open file and what is known of it.

    Args:
        file: at its begin; the reader closes it.
        representation: size, tag and time.
        encoding: the Content-Encoding of a precompressed variant, or None.
        varies: whether there are variants.
        head: the whole content of a small file, or None.

    """

    file: BinaryIO
    representation: Representation
    encoding: Optional[str] = None
    varies: bool = False
    head: Optional[bytes] = None


def open_file(path: str, encodings: Optional[set[str]] = None) -> Optional[OpenFile]:
    """Open a regular file, or a precompressed variant of it. Blocks: for worker threads.

    Args:
        path: of the file.
        encodings: content codings that the client accepts; None to look for no variants.

    Returns:
        None where there is no such regular file that may be read.

    """
    varies = False
    if encodings is not None:
        for coding, suffix in _VARIANTS:
            if Path(path + suffix).is_file():
                varies = True
                if coding in encodings:
                    variant = _open(path + suffix)
                    if variant is not None and Path(path).is_file():
                        variant.encoding, variant.varies = coding, True
                        return variant
    opened = _open(path)
    if opened is not None:
        opened.varies = varies
    return opened


def _open(path: str) -> Optional[OpenFile]:
    try:
        # Without waiting for a writer, should it be a FIFO.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError):
        return None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        return None
    file = os.fdopen(descriptor, "rb", buffering=0)
    etag = f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
    opened = OpenFile(file, Representation(status.st_size, etag, int(status.st_mtime)))
    if status.st_size <= _CHUNK_BYTES:
        opened.head = file.read(status.st_size)
    return opened


def content_type_of(path: str) -> str:
    """Guess the media type by the name; text is UTF-8."""
    guessed, encoding = mimetypes.guess_type(path)
    if guessed is None or encoding is not None:
        return "application/octet-stream"
    return f"{guessed}; charset=utf-8" if guessed.startswith("text/") or guessed in _TEXT_TYPES else guessed


def head_of(opened: OpenFile, result: Answer, content_type: str, cache_control: Optional[str]) -> list[tuple[str, str]]:
    """Give the fields of the response to a request for a file."""
    what = opened.representation
    fields = [("ETag", what.etag), ("Last-Modified", formatdate(what.modified, usegmt=True))]
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
    """Send a file, or the part of it that the client asks for. The file is read by worker threads, in pieces.

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
    try:
        return await send_opened(res, req, method, opened, content_type or content_type_of(name), cache_control)
    finally:
        opened.file.close()


async def send_opened(
    res: Response, req: Request, method: str, opened: OpenFile, content_type: str, cache_control: Optional[str]
) -> Response:
    """Send an open file."""
    result = answer(method, req.get_header, opened.representation)
    fields = head_of(opened, result, content_type, cache_control)
    if result.status in (304, 412, 416):
        return res.send(b"", None, result.status, fields)
    if opened.head is not None:
        # HEAD gets the length of what is not sent.
        return res.send(opened.head[result.start : result.start + result.length], None, result.status, fields)
    res.write_status(result.status)
    for name, value in fields:
        res.write_header(name, value)
    if method == "HEAD":
        return res.write_header("Content-Length", result.length).end_without_body()
    return await _stream(res, opened.file, result)


async def _stream(res: Response, file: BinaryIO, result: Answer) -> Response:
    loop = asyncio.get_running_loop()
    descriptor, offset, end = file.fileno(), result.start, result.start + result.length
    while offset < end:
        chunk = await loop.run_in_executor(None, os.pread, descriptor, min(_CHUNK_BYTES, end - offset), offset)
        if not chunk:
            # The file became shorter: what was announced cannot be sent.
            return res.close()
        offset += len(chunk)
        _, done = await res.send_chunk(chunk, result.length)
        if done:
            break
    return res
