"""The client behind a response: what it sends, its leaving, and who it is."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from io import BytesIO
from typing import Any, Callable, Optional, TypeVar

from ..core.own_class import OwnAttributes, setter_of_slot
from ..loop.loop_thread import scratch_view
from ..native import lib
from ..native.abi import GONE
from ..wire.addresses import address_text
from ..wire.errors import BadRequestError
from ..wire.forms import FormData, FormReader, MultipartEvents, parse_urlencoded
from ..wire.handshake_facts import HandshakeFacts, read_handshake_facts
from ..wire.proxy_protocol import read_tlvs
from .body_reader import BodyReader
from .body_stream import BodyStream
from .exchange import Exchange
from .form_stream import FormStream, check_form_limits
from .request import Request
from .request_body import read_form, read_whole

Self = TypeVar("Self", bound="ClientConnection")


def proxy_facts(handle: int) -> Optional[dict[str, Any]]:
    """Return what a PROXY protocol header said to the connection of a response, as :func:`read_tlvs` does; None without one."""
    length = lib.sk_res_proxy_tlvs(handle)
    return None if length < 0 else read_tlvs(bytes(scratch_view()[:length]))


class ClientConnection(OwnAttributes):
    """What a response knows of its client. The request's body can be read once, by one of the methods.

    After the client left, methods do nothing; see :attr:`aborted`.
    """

    #: What the framework knows of the response; not for handlers.
    exchange_: Exchange

    __slots__ = ("__weakref__", "exchange_")

    def __init__(self, exchange: Exchange) -> None:
        _set_exchange(self, exchange)

    def _own_extras(self) -> dict[str, Any]:
        return self.exchange_.own_response_extras()

    @property
    def app(self) -> Any:
        """The :class:`socketify.App` that got the request."""
        return self.exchange_.core.app()

    @property
    def aborted(self) -> bool:
        """Whether the client left before the response ended. What a program sets here lasts as long as the request."""
        return self.exchange_.aborted

    @aborted.setter
    def aborted(self, value: bool) -> None:
        self.exchange_.dirty = True
        self.exchange_.aborted = value

    # ---- what it gets

    @property
    def compress(self) -> bool:
        """Whether the response may be compressed, where the app does that; True at first.

        What holds a secret together with what a client chose should not be: its length says how much both have in common.

        Raises:
            TypeError: it is set to what is no bool.
            RuntimeError: it is set when the head was sent already.

        """
        return self.exchange_.compress

    @compress.setter
    def compress(self, may_compress: bool) -> None:
        if not isinstance(may_compress, bool):
            message = f"compress must be True or False, not {may_compress!r}"
            raise TypeError(message)
        if self.exchange_.head_to_change("compress"):
            self.exchange_.let_compress(self, may_compress)

    # ---- what it sends

    def on_data(self: Self, handler: Callable[[Self, bytes, bool], Any]) -> Self:
        """Call back with every piece of the request's body: ``handler(res, chunk, is_end)``."""
        exchange = self.exchange_
        if not exchange.handle:
            exchange.refuse_late_reading("on_data")
            return self

        def sink(chunk: bytes, last: bool) -> None:
            if not exchange.core.guard(self, handler, self, chunk, last):
                # What follows would be a body with a piece missing.
                reader.stop()

        reader = BodyReader(sink)
        exchange.read(self, reader, keep=True)
        return self

    async def get_data(self) -> BytesIO:
        """Return the request's body, or the part that arrived before the client left.

        Raises:
            RuntimeError: the response has ended before, also while this waits; or the body is being read already.

        """
        return BytesIO(await self._read("get_data"))

    async def _read(self, what: str) -> bytes:
        if not self.exchange_.handle:
            self.exchange_.refuse_late_reading(what)
            return b""
        return await read_whole(self.exchange_, self)

    async def get_text(self, encoding: str = "utf-8") -> Optional[str]:
        """Return the request's body as text, or None when the client left before all of it arrived.

        Raises:
            BadRequestError: it is not of that encoding; unhandled, the client gets a 400.

        """
        data = await self._read("get_text")
        if self.aborted:
            return None
        try:
            return data.decode(encoding)
        except UnicodeDecodeError as error:
            message = f"the body is not {encoding}: {error.reason} at byte {error.start}"
            raise BadRequestError(message) from error

    async def get_json(self) -> Any:
        """Return the request's body through the JSON serializer, or None when the client left before all of it arrived.

        Raises:
            BadRequestError: it is not JSON: the serializer raised a ValueError; unhandled, the client gets a 400.

        """
        data = await self._read("get_json")
        if self.aborted:
            return None
        try:
            return self.exchange_.core.loads(data)
        except ValueError as error:
            message = f"the body is not JSON: {error}"
            raise BadRequestError(message) from error

    async def get_form_urlencoded(self, encoding: str = "utf-8") -> Optional[dict[str, str]]:
        """Return the first value of every field of an urlencoded form, or None when the client left.

        Raises:
            BadRequestError: it is no such form; unhandled, the client gets a 400.

        """
        data = await self._read("get_form_urlencoded")
        if self.aborted:
            return None
        values: dict[str, str] = {}
        for name, value in parse_urlencoded(data, encoding):
            values.setdefault(name, value)
        return values

    async def get_form(self, req: Request, *, max_files: int = 100, max_file_size: Optional[int] = None) -> Optional[FormData]:
        """Return an urlencoded or multipart form, or None when the client left. Large files go to disk as they arrive.

        Args:
            req: the request, for its Content-Type.
            max_files: files of the form; more are answered with 413.
            max_file_size: bytes of each; larger ones are answered with 413. None for no limit but the body's.

        Raises:
            HTTPError: 400, 413 or 415 for what is no such form; unhandled, the client gets that status.

        """
        reader = FormReader(req.get_header("content-type"), max_files, max_file_size)
        if not self.exchange_.handle:
            self.exchange_.refuse_late_reading("get_form")
            return None
        return await read_form(self.exchange_, self, reader)

    def stream_form(self, req: Request, *, max_parts: int = 1000, max_part_size: Optional[int] = None) -> FormStream:
        """Return the parts of a multipart form as they arrive; nothing is kept: ``async for part in res.stream_form(req)``.

        Args:
            req: the request, for its Content-Type.
            max_parts: of the form, 1000 at most; more are answered with 413.
            max_part_size: bytes of each; larger ones are answered with 413. None for no limit but the body's.

        Raises:
            HTTPError: 400 or 415 for what is no such form; unhandled, the client gets that status.
            ValueError: max_parts or max_part_size is out of range.
            RuntimeError: the body is being read already, or the response has ended.

        """
        check_form_limits(max_parts, max_part_size)
        events = MultipartEvents(req.get_header("content-type"))
        if not self.exchange_.handle and not self.exchange_.aborted:
            self.exchange_.refuse_late("stream_form")
        return FormStream(BodyStream(self.exchange_, self), events, max_parts, max_part_size)

    # ---- its leaving

    def on_aborted(self: Self, handler: Callable[[Self], Any]) -> Self:
        """Call back when the client leaves before the response ended.

        A program that answers later must hold the response: one that nothing refers to ends at once, with a 500 or a cut.
        """
        exchange = self.exchange_
        if not exchange.handle:
            exchange.refuse_late("on_aborted")
            return self
        exchange.dirty = True
        exchange.abort_handlers += (handler,)
        exchange.follow(self)
        return self

    def grab_aborted_handler(self: Self) -> Self:
        """Follow the client, so that :attr:`aborted` is kept up to date. No program needs this; some call it."""
        if not self.exchange_.handle:
            self.exchange_.refuse_late("grab_aborted_handler")
            return self
        self.exchange_.follow(self)
        return self

    def run_async(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Future[Any]:
        """Run a coroutine; its first step is made at once, while the request can be read. See :meth:`socketify.App.run_async`.

        An error in it goes to the app's error handler with this response. When it waits, the request is copied.
        """
        return self.exchange_.core.run_async(coroutine, self)

    def has_responded(self: Self) -> bool:
        """Return whether the response has ended, or the client left."""
        return not self.exchange_.handle

    def _address(self, ask: Callable[[int], int], what: str) -> bytes:
        exchange = self.exchange_
        length = ask(exchange.handle) if exchange.handle else 0
        if length > 0:
            return bytes(exchange.core.view[:length])
        exchange.check_thread(what)
        return b""

    def get_proxy_facts(self: Self) -> Optional[dict[str, Any]]:
        """Return what a PROXY protocol v2 header said beside the addresses, by name; None without a header.

        ``authority`` is the server name that the client asked for (SNI), ``alpn`` what was agreed on, ``unique_id`` bytes.
        ``tls`` is a dict with ``version``, ``cipher``, ``client_certificate``, ``verified``, ``client_name`` and more, and
        ``others`` one of bytes by type. What the proxy did not say is missing.
        """
        exchange = self.exchange_
        facts = proxy_facts(exchange.handle) if exchange.handle else None
        if facts is None:
            exchange.check_thread("get_proxy_facts")
        return facts

    def get_proxied_remote_address_bytes(self: Self) -> Optional[bytes]:
        """Return the address that a PROXY protocol header named, packed into 4 or 16 bytes; None where there was none."""
        return self._address(lib.sk_res_proxied_address, "get_proxied_remote_address") or None

    def get_proxied_remote_address(self: Self) -> Optional[str]:
        """Return the address that a PROXY protocol header named, as text; None where there was none."""
        packed = self.get_proxied_remote_address_bytes()
        return None if packed is None else address_text(packed)

    def get_remote_address_bytes(self: Self) -> bytes:
        """Return the client's address, packed into 4 or 16 bytes; empty for Unix-domain sockets and after the end."""
        return self._address(lib.sk_res_remote_address, "get_remote_address")

    def get_remote_address(self: Self) -> str:
        """Return the client's address as text; empty for Unix-domain sockets and after the end."""
        return address_text(self.get_remote_address_bytes())

    def get_client_certificate(self: Self) -> Optional[bytes]:
        """Return the client's certificate as DER, which was checked against ``ca_file_name``; None without one."""
        return self._address(lib.sk_res_client_certificate, "get_client_certificate") or None

    def get_handshake_facts(self: Self) -> Optional[HandshakeFacts]:
        """Return version and cipher suite of TLS, and who both ends are by their certificates.

        None for connections without TLS, and after the client left or the response ended.
        """
        facts = self._address(lib.sk_res_tls_facts, "get_handshake_facts")
        return read_handshake_facts(facts) if facts else None

    def pause(self: Self) -> Self:
        """Stop reading from the connection."""
        exchange = self.exchange_
        if exchange.handle and lib.sk_res_pause(exchange.handle) == GONE and exchange.is_elsewhere:
            exchange.forward(self, self.pause)
        return self

    def resume(self: Self) -> Self:
        """Go on reading from the connection."""
        exchange = self.exchange_
        if exchange.handle and lib.sk_res_resume(exchange.handle) == GONE and exchange.is_elsewhere:
            exchange.forward(self, self.resume)
        return self

    def close(self: Self) -> Self:
        """Cut the connection; abort handlers are called."""
        self.exchange_.cut(self)
        return self

    def get_native_handle(self: Self) -> int:
        """Return the number by which the native library knows this response; 0 after the end."""
        return self.exchange_.handle


_set_exchange = setter_of_slot(ClientConnection, "exchange_")
