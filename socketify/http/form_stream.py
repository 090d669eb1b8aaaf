"""Multipart forms whose parts are taken as they arrive: what ``res.stream_form(req)`` returns."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, Optional

from ..wire.errors import BadRequestError, HTTPError
from ..wire.forms import PARTS_MAX, MultipartEvents
from .body_stream import BodyStream

_READ_BYTES_MAX = 1024 * 1024


def check_form_limits(max_parts: int, max_part_size: Optional[int]) -> None:
    """Check what a form may have.

    Raises:
        ValueError: one of both is out of range; the message names it.

    """
    if not isinstance(max_parts, int) or isinstance(max_parts, bool) or not 1 <= max_parts <= PARTS_MAX:
        message = f"max_parts must be an int from 1 to {PARTS_MAX}, not {max_parts!r}"
        raise ValueError(message)
    if max_part_size is not None and (
        not isinstance(max_part_size, int) or isinstance(max_part_size, bool) or max_part_size < 0
    ):
        message = f"max_part_size must be an int of 0 or more, in bytes, or None, not {max_part_size!r}"
        raise ValueError(message)


class FormPart:
    """A field or a file of a multipart form (RFC 7578): iterate over its content, once, before the next part.

    Args:
        form: where it belongs.
        head: what the parser says of it.

    """

    def __init__(self, form: FormStream, head: Any) -> None:
        self._form = form
        #: Of the field.
        self.name: str = head.name
        #: As the client gave it, None for a field that is no file; never use it as a path.
        self.filename: Optional[str] = head.filename
        #: As the client gave it; None where it gave none.
        self.content_type: Optional[str] = head.header("content-type")
        #: Bytes of it that were taken.
        self.size = 0
        self._is_over = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Return the pieces of the content, of any size.

        Raises:
            HTTPError: 400 where the form is malformed, or the client left before its end; 413 where the part is too large.

        """
        while not self._is_over:
            event = await self._form.next_event()
            if event is None:
                self._is_over = True
            else:
                self.size += len(event)
                self._form.check_size(self)
                yield bytes(event)

    async def read(self, max_size: int = _READ_BYTES_MAX) -> bytes:
        """Return the content, or what is left of it.

        Args:
            max_size: bytes of it at most.

        Raises:
            HTTPError: 413 where it is larger; 400 as for its pieces.

        """
        pieces, size = [], 0
        async for piece in self:
            size += len(piece)
            if size > max_size:
                raise HTTPError(413, f"part {self.name!r} of the form is too large")
            pieces.append(piece)
        return b"".join(pieces)

    async def text(self, max_size: int = _READ_BYTES_MAX) -> str:
        """Return the content as text of UTF-8.

        Raises:
            HTTPError: 400 where it is none; see :meth:`read`.

        """
        content = await self.read(max_size)
        try:
            return content.decode()
        except UnicodeDecodeError as error:
            message = f"part {self.name!r} of the form is not UTF-8"
            raise BadRequestError(message) from error

    async def skip(self) -> None:
        """Go on to the end of the part."""
        async for _ in self:
            pass


class FormStream:
    """The parts of a multipart form, in their order; what was not taken of one is skipped when the next one is asked for.

    Args:
        body: of the request.
        events: read it.
        max_parts: more are answered with 413.
        max_part_size: bytes of each part; larger ones are answered with 413. None for no limit but the body's.

    """

    def __init__(self, body: BodyStream, events: MultipartEvents, max_parts: int, max_part_size: Optional[int]) -> None:
        self._body = body
        self._parser = events
        self._max_parts = max_parts
        self._max_part_size = max_part_size
        self._events: Iterator[Any] = iter(())

    async def __aiter__(self) -> AsyncIterator[FormPart]:
        """Return the parts.

        Raises:
            HTTPError: 400 where the form is malformed, or the client left before its end; 413 where it has too many parts.

        """
        count = 0
        while True:
            head = await self.next_event(at_end=True)
            if head is None:
                return
            count += 1
            if count > self._max_parts:
                raise HTTPError(413, f"the form has more than {self._max_parts} parts")
            part = FormPart(self, head)
            yield part
            await part.skip()

    async def next_event(self, *, at_end: bool = False) -> Any:
        """Return the next event of the parser; for the form, not for its parts.

        Args:
            at_end: whether the form may end here, which is None then.

        """
        while True:
            for event in self._events:
                return event
            try:
                chunk = await self._body.read()
            except EOFError as error:
                raise BadRequestError(str(error)) from error
            if not chunk:
                self._parser.end()
                if at_end:
                    return None
                message = "the multipart form is malformed: it ends within a part"
                raise BadRequestError(message)
            self._events = self._parser.feed(chunk)

    def check_size(self, part: FormPart) -> None:
        """Raise an HTTPError where a part is too large."""
        if self._max_part_size is not None and part.size > self._max_part_size:
            raise HTTPError(413, f"part {part.name!r} of the form is too large")
