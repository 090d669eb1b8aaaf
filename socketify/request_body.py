"""The body of a request, as its response reads it."""

from __future__ import annotations

import asyncio
from io import BytesIO
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar

from .connection import Connection
from .errors import BadRequestError
from .forms import FormData, FormReader, parse_urlencoded
from .native import calls, lib
from .native.declarations import BUSY, OK

if TYPE_CHECKING:
    from .request import Request

_body_here = calls.body_here

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
        self._read(lambda chunk, last: self._app._guard(self, handler, self, chunk, last))
        return self

    def _read(self, sink: Callable[[bytes, bool], None]) -> None:
        if self._body_sink is not None:
            message = "the body of this request is being read already"
            raise RuntimeError(message)
        self._dirty = True
        self._body_sink = sink
        self._app._keep(self)
        if lib.sk_res_read_body(self._handle) not in (OK, BUSY):
            sink(b"", True)

    async def get_data(self) -> BytesIO:
        """Give the request's body, or what came of it when the client left."""
        if not self._handle:
            self._late("get_data")
            return BytesIO()
        whole = _body_here(self._handle)
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
        self._read(sink)
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
        self._read(sink)
        try:
            if not waiter.done():
                await waiter
        except asyncio.CancelledError:
            reader.form.close()
            raise
        if self.aborted:
            reader.form.close()
            return None
        return reader.finish()

    def _on_body(self, chunk: bytes, last: bool) -> None:
        if self._body_sink is not None:
            self._body_sink(chunk, last)


def _nothing_more(_chunk: bytes, _last: bool) -> None:
    """Stand for the reading of a body that was here at once."""
