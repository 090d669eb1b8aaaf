"""The body of a request, as its response reads it."""

from __future__ import annotations

import asyncio
from io import BytesIO
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar

from ..native import body_here as _body_here
from ..native import lib
from ..native.abi import GONE, OK
from ..wire.errors import BadRequestError
from ..wire.forms import FormData, FormReader, parse_urlencoded
from .connection import Connection

if TYPE_CHECKING:
    from .request import Request


Self = TypeVar("Self", bound="RequestBody")


class RequestBody(Connection):
    """Reading of the body: once, by one of these methods."""

    __slots__ = ("_body_sink", "_body_waiter")

    def _reset(self) -> None:
        super()._reset()
        self._body_sink: Optional[Callable[[bytes, bool], None]] = None
        self._body_waiter: Optional[asyncio.Future[None]] = None

    def on_data(self: Self, handler: Callable[[Self, bytes, bool], Any]) -> Self:
        """Call back with every piece of the request's body: ``handler(res, chunk, is_end)``."""
        if not self._handle:
            return self._late("on_data")

        def sink(chunk: bytes, last: bool) -> None:
            if not self._app._guard(self, handler, self, chunk, last):
                # What follows would be a body with a hole.
                self._body_sink = _nothing_more

        self._read(sink, self._app._keep)
        return self

    def _read(self, sink: Callable[[bytes, bool], None], hold: Callable[[Any], None]) -> None:
        if self._body_sink is not None:
            message = "the body of this request is being read already"
            raise RuntimeError(message)
        self._check_thread("reading the body")
        self._dirty = True
        self._body_sink = sink
        hold(self)
        result = lib.sk_res_read_body(self._handle)
        if result == GONE:
            self._app._on_abort(self._handle)
        elif result != OK:
            self._on_body(b"", True)

    async def get_data(self) -> BytesIO:
        """Give the request's body, or what came of it when the client left."""
        if not self._handle:
            self._late("get_data")
            return BytesIO()
        try:
            whole = _body_here(self._handle)
        except MemoryError:
            # It is not there a second time.
            self._dirty = True
            self._body_sink = _nothing_more
            raise
        if whole is not None:
            self._dirty = True
            self._body_sink = _nothing_more
            return BytesIO(whole)
        chunks: list[bytes] = []
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def sink(chunk: bytes, last: bool) -> None:
            chunks.append(chunk)
            if last and not waiter.done():
                waiter.set_result(None)

        self._body_waiter = waiter
        self._read(sink, self._app._follow)
        if not waiter.done():
            await waiter
        return BytesIO(b"".join(chunks))

    async def get_text(self, encoding: str = "utf-8") -> Optional[str]:
        """Give the request's body as text, or None when the client left before all of it came.

        Raises:
            BadRequestError: it is not of that encoding; unhandled, the client gets a 400.

        """
        data = (await self.get_data()).getvalue()
        if self.aborted:
            return None
        try:
            return data.decode(encoding)
        except UnicodeDecodeError as error:
            message = f"the body is not {encoding}: {error.reason} at byte {error.start}"
            raise BadRequestError(message) from error

    async def get_json(self) -> Any:
        """Give the request's body through the JSON serializer, or None when the client left before all of it came.

        Raises:
            BadRequestError: it is not JSON, which the serializer says by a ValueError; unhandled, the client gets a 400.

        """
        data = (await self.get_data()).getvalue()
        if self.aborted:
            return None
        try:
            return self._app._loads(data)
        except ValueError as error:
            message = f"the body is not JSON: {error}"
            raise BadRequestError(message) from error

    async def get_form_urlencoded(self, encoding: str = "utf-8") -> Optional[dict[str, str]]:
        """Give the first value of every field of an urlencoded form, or None when the client left.

        Raises:
            BadRequestError: it is no such form; unhandled, the client gets a 400.

        """
        data = (await self.get_data()).getvalue()
        if self.aborted:
            return None
        values: dict[str, str] = {}
        for name, value in parse_urlencoded(data, encoding):
            values.setdefault(name, value)
        return values

    async def get_form(self, req: Request, *, max_files: int = 100, max_file_size: Optional[int] = None) -> Optional[FormData]:
        """Give an urlencoded or multipart form, or None when the client left. Large files go to disk as they come.

        Args:
            req: the request, for its Content-Type.
            max_files: files of the form; more are answered with 413.
            max_file_size: bytes of each; larger ones are answered with 413. None for no limit but the body's.

        Raises:
            HTTPError: 400, 413 or 415 for what is no such form; unhandled, the client gets that status.

        """
        reader = FormReader(req.get_header("content-type"), max_files, max_file_size)
        if not self._handle:
            self._late("get_form")
            return None
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def sink(chunk: bytes, last: bool) -> None:
            reader.feed(chunk)
            if last and not waiter.done():
                waiter.set_result(None)

        self._body_waiter = waiter
        self._read(sink, self._app._follow)
        try:
            if not waiter.done():
                await waiter
        except BaseException:
            reader.form.close()
            raise
        if self.aborted:
            reader.form.close()
            return None
        return reader.finish()

    def _hears_body(self) -> bool:
        """Tell whether the body is being read."""
        return self._body_sink is not None and self._body_sink is not _nothing_more

    def _on_body(self, chunk: bytes, last: bool) -> None:
        sink = self._body_sink
        if sink is None:
            return
        if last:
            # It may refer to this response.
            self._body_sink = _nothing_more
        try:
            sink(chunk, last)
        except BaseException as error:
            self._body_sink = _nothing_more
            waiter = self._body_waiter
            if waiter is None or waiter.done():
                raise
            waiter.set_exception(error)
        if last and self._handle:
            self._app._let_go(self)  # type: ignore[arg-type] # every body reader is a response


def _nothing_more(_chunk: bytes, _last: bool) -> None:
    """Stand for the reading of a body that was here at once."""
