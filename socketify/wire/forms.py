"""Forms: ``application/x-www-form-urlencoded``, and ``multipart/form-data`` (RFC 7578) with files that go to disk."""

from __future__ import annotations

import asyncio
import codecs
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import IO, Any, Callable, Optional, Union
from urllib.parse import parse_qsl

from .errors import BadRequestError, HTTPError
from .form_parser import load_parser

multipart = load_parser()

#: Of a form, whatever its kind.
PARTS_MAX = 1000
_FIELD_BYTES_MAX = 1024 * 1024
_MEMORY_BYTES = 256 * 1024
#: Content-Types of fields whose octets are not text.
_OCTETS = ("application/octet-stream", "audio/", "font/", "image/", "video/")
#: Encodings of Python that are not charsets of a form; decoding large values takes long with some.
_NO_CHARSETS = ("idna", "punycode", "raw-unicode-escape", "unicode-escape", "undefined")


@dataclass
class UploadFile:
    """A file of a form.

    Args:
        name: of the field.
        filename: as the client gave it; never use it as a path.
        content_type: as the client gave it.
        file: the content, positioned at its beginning; on disk when it is large.
        size: bytes.

    """

    name: str
    filename: str
    content_type: str
    file: IO[bytes]
    size: int = 0

    async def save(self, path: str) -> None:
        """Copy the content to a file, in a worker thread.

        Raises:
            OSError: it cannot be written.

        """
        self.file.seek(0)
        with open(path, "wb") as target:  # noqa: ASYNC230, PTH123 - opening is short, copying is not
            await asyncio.get_running_loop().run_in_executor(None, shutil.copyfileobj, self.file, target)


@dataclass
class FormData:
    """Fields and files of a form, in their order. Closing it deletes the files that were not saved.

    Args:
        fields: names and values of fields that are text.
        files: those with a file name.
        octets: names and values of fields that are not text by their Content-Type, such as ``application/octet-stream``.

    """

    fields: list[tuple[str, str]] = field(default_factory=list)
    files: list[UploadFile] = field(default_factory=list)
    octets: list[tuple[str, bytes]] = field(default_factory=list)

    def get(self, name: str, default: Optional[str] = None) -> Optional[str]:
        """Return the first value of a field."""
        return next((value for key, value in self.fields if key == name), default)

    def get_list(self, name: str) -> list[str]:
        """Return all values of a field."""
        return [value for key, value in self.fields if key == name]

    def get_bytes(self, name: str) -> Optional[bytes]:
        """Return the first value of a field that is not text."""
        return next((value for key, value in self.octets if key == name), None)

    def get_file(self, name: str) -> Optional[UploadFile]:
        """Return the first file of a field."""
        return next((file for file in self.files if file.name == name), None)

    def __iter__(self) -> Iterator[tuple[str, Union[str, bytes, UploadFile]]]:
        """Return every field and file with its name."""
        yield from self.fields
        yield from self.octets
        for file in self.files:
            yield file.name, file

    def close(self) -> None:
        """Close the files; those on disk are deleted."""
        for file in self.files:
            file.file.close()

    def __enter__(self) -> FormData:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()


def parse_urlencoded(data: bytes, encoding: str = "utf-8") -> list[tuple[str, str]]:
    """Read an urlencoded form.

    Raises:
        BadRequestError: it is not of that encoding, or has too many fields.

    """
    try:
        text = data.decode("ascii")
        return parse_qsl(text, keep_blank_values=True, encoding=encoding, errors="strict", max_num_fields=PARTS_MAX)
    except ValueError as error:
        message = f"the body is no urlencoded form: {error}"
        raise BadRequestError(message) from error


def _text_of(name: str, value: Union[bytes, bytearray], charset: str) -> str:
    """Decode a field (RFC 7578 section 4.4).

    Raises:
        BadRequestError: the charset is unknown, or the value is not of it.

    """
    try:
        if codecs.lookup(charset).name in _NO_CHARSETS:
            raise LookupError(charset)
        return value.decode(charset)
    except LookupError as error:
        message = f"field {name!r} of the form has an unknown charset"
        raise BadRequestError(message) from error
    except ValueError as error:
        message = f"field {name!r} of the form is not {charset}"
        raise BadRequestError(message) from error


def _parser_of(options: Mapping[str, str]) -> Any:
    """Return the parser of a multipart form.

    Args:
        options: parameters of its Content-Type.

    Raises:
        BadRequestError: they name no boundary.

    """
    if not options.get("boundary"):
        raise BadRequestError("the multipart form has no boundary")
    return multipart.PushMultipartParser(options["boundary"], max_segment_count=PARTS_MAX)


def _malformed(error: Exception) -> HTTPError:
    status = 413 if isinstance(error, multipart.ParserLimitReached) else 400
    return HTTPError(status, f"the multipart form is malformed: {error}")


class MultipartEvents:
    """Reads a multipart form piece by piece.

    Args:
        content_type: the field of the request, or None.

    Raises:
        HTTPError: 415 for what is no such form, 400 where the boundary is missing.

    """

    def __init__(self, content_type: Optional[str]) -> None:
        kind, options = multipart.parse_options_header(content_type or "")
        if kind != "multipart/form-data":
            raise HTTPError(415, "the body is no multipart form")
        self._parser = _parser_of(options)

    def feed(self, chunk: bytes) -> Iterator[Any]:
        """Return what a piece holds: for each part what the parser says of it, then bytes, and None at its end.

        Raises:
            HTTPError: it is malformed, or has too many parts.

        """
        try:
            yield from self._parser.parse(chunk)
        except multipart.MultipartError as error:
            raise _malformed(error) from error

    def end(self) -> None:
        """Take note that nothing follows.

        Raises:
            BadRequestError: the form is not complete.

        """
        try:
            self._parser.close()
        except multipart.MultipartError as error:
            raise _malformed(error) from error


class FormReader:
    """Takes the body of a form piece by piece; an error in it is raised by :meth:`finish`.

    Args:
        content_type: the field of the request, or None.
        max_files: more are answered with 413.
        max_file_size: bytes of one file; larger ones are answered with 413. None for no limit but the body's.

    """

    def __init__(self, content_type: Optional[str], max_files: int, max_file_size: Optional[int]) -> None:
        self.form = FormData()
        self._error: Optional[HTTPError] = None
        self._urlencoded = bytearray()
        self._part: Any = None
        self._upload: Optional[UploadFile] = None
        self._value = bytearray()
        self._max_files = max_files
        self._max_file_size = max_file_size
        kind, options = multipart.parse_options_header(content_type or "")
        self._parser: Any = None
        self.feed: Callable[[bytes], None] = self._feed_urlencoded
        if kind == "multipart/form-data":
            self.feed = self._feed_multipart
            try:
                self._parser = _parser_of(options)
            except HTTPError as error:
                self._error = error
        elif kind != "application/x-www-form-urlencoded":
            self._error = HTTPError(415, "the body is no form")

    def _feed_urlencoded(self, chunk: bytes) -> None:
        if self._error is None:
            self._urlencoded += chunk
            if len(self._urlencoded) > _FIELD_BYTES_MAX:
                self._error = HTTPError(413, "the form is too large")

    def _feed_multipart(self, chunk: bytes) -> None:
        if self._error is not None or not chunk:
            return
        try:
            for event in self._parser.parse(chunk):
                self._take(event)
        except multipart.MultipartError as error:
            self._error = _malformed(error)
        except HTTPError as error:
            self._error = error

    def _take(self, event: Any) -> None:
        if event is None:
            self._end_part()
        elif isinstance(event, (bytes, bytearray)):
            self._take_data(event)
        else:
            self._part = event
            self._value = bytearray()
            self._upload = None
            if event.filename is not None:
                if len(self.form.files) >= self._max_files:
                    raise HTTPError(413, f"the form has more than {self._max_files} files")
                content_type = event.header("content-type") or "application/octet-stream"
                file = tempfile.SpooledTemporaryFile(_MEMORY_BYTES)  # noqa: SIM115 - the form closes it
                self._upload = UploadFile(event.name, event.filename, content_type, file)
                self.form.files.append(self._upload)

    def _take_data(self, data: Union[bytes, bytearray]) -> None:
        upload = self._upload
        if upload is None:
            self._value += data
            if len(self._value) > _FIELD_BYTES_MAX:
                raise HTTPError(413, f"field {self._part.name!r} of the form is too large")
            return
        upload.size += len(data)
        if self._max_file_size is not None and upload.size > self._max_file_size:
            raise HTTPError(413, f"file {upload.name!r} of the form is too large")
        upload.file.write(data)

    def _end_part(self) -> None:
        if self._upload is not None:
            self._upload.file.seek(0)
            return
        part = self._part
        if part.charset is None and (part.content_type or "").startswith(_OCTETS):
            self.form.octets.append((part.name, bytes(self._value)))
        else:
            self.form.fields.append((part.name, _text_of(part.name, self._value, part.charset or "utf-8")))

    def finish(self) -> FormData:
        """Return the form after all of the body has arrived.

        Raises:
            HTTPError: 400, 413 or 415; the files are closed then.

        """
        if self._error is None:
            try:
                if self._parser is None:
                    self.form.fields = parse_urlencoded(bytes(self._urlencoded))
                else:
                    self._parser.close()
            except multipart.MultipartError as error:
                self._error = BadRequestError(f"the multipart form is malformed: {error}")
            except HTTPError as error:
                self._error = error
        if self._error is not None:
            self.form.close()
            raise self._error
        return self.form
