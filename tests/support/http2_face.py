"""A face of HTTP/1.1 before a server that is asked by HTTP/2: with SOCKETIFY_TEST_HTTP=2 the suites of HTTP/1.1 go through it.

Each connection of a client is one of HTTP/2, and each of its requests a stream. It is transparent where HTTP/2 has a word for
what happens: windows open as the client reads, and what the client sends waits for the server's; a client that leaves resets
its stream; where the server resets one, or its connection ends, the client's is cut.
"""

from __future__ import annotations

import asyncio
import collections
import functools
import sys
import threading
import traceback
from pathlib import Path
from typing import Any, Callable, Optional

import h2.errors
import h2.events
import h2.exceptions
import h2.settings
from http1_messages import RequestHead, ResponseHead, request_fields, request_head
from http2_connection import client_connection

#: Bytes that are kept of who sends faster than they can be passed on.
HELD_BYTES = 65536
#: Bytes that the server may send before the client has read any.
WINDOW_BYTES = 512 * 1024
#: How long a client that was answered early may go on sending.
LINGER_SECONDS = 3
#: How a connection begins that a proxy announces (version 2 of its protocol), and how many bytes say how many follow.
PROXY_SIGNATURE, PROXY_BYTES = b"\r\n\r\n\0\r\nQUIT\n", 16
#: How often a client that has ended its half is looked at.
LOOK_SECONDS = 0.02


class _LeftError(Exception):
    """Nothing more can be done for the client."""


class _Peer(asyncio.Protocol):
    """One end of what is passed on."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self.transport: Any = None
        self.received = bytearray()
        self.ended = self.lost = False
        self.writable = True
        #: Whether what was received is too little for who waits for it.
        self.wanted = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.set_write_buffer_limits(HELD_BYTES)

    def data_received(self, data: bytes) -> None:
        self.received += data
        if len(self.received) > HELD_BYTES and not self.wanted:
            self.transport.pause_reading()
        self._changed()

    def eof_received(self) -> bool:
        self.ended = True
        self._changed()
        return True

    def connection_lost(self, _: Optional[Exception]) -> None:
        self.ended = self.lost = True
        self._changed()

    def pause_writing(self) -> None:
        self.writable = False

    def resume_writing(self) -> None:
        self.writable = True
        self._changed()

    def take(self, size: int) -> bytes:
        taken = bytes(self.received[:size])
        del self.received[:size]
        if not self.lost:
            self.transport.resume_reading()
        return taken

    def write(self, data: bytes) -> None:
        if data and not self.lost:
            self.transport.write(data)

    def close(self) -> None:
        self.transport.close()

    @property
    def has_left(self) -> bool:
        """Whether the other end is gone, not only its half: its socket belongs to no program any more."""
        if self.lost or not self.ended:
            return self.lost
        pair = [
            f"{int.from_bytes(bytes(map(int, host.split('.'))), 'little'):08X}:{port:04X}"
            for host, port in map(self.transport.get_extra_info, ("peername", "sockname"))
        ]
        rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines())
        return not any(row[1:3] == pair and row[9] != "0" for row in rows)


class _Conversation:
    """A client's connection, and that to the server."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._turn = asyncio.Event()
        self.client = _Peer(self._turn.set)
        self._server = _Peer(self._receive)
        self._h2 = client_connection(encoding=None, strict=False)
        self._h2.decoder.max_header_list_size = 1 << 22
        self._begun = False
        self._configured = False
        self._goaway = False
        #: Of the stream that is open.
        self._stream = 0
        self._events: collections.deque[Any] = collections.deque()
        self._is_reset = self._is_over = True
        self._gave_up = False

    async def run(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: self._server, "127.0.0.1", self._port)
        except OSError:
            self.client.transport.abort()
            return
        watching = asyncio.ensure_future(self._watch())
        try:
            while await self._exchange():
                pass
        except _LeftError:
            pass
        except Exception:
            traceback.print_exc(file=sys.stderr)
        finally:
            watching.cancel()
            self._server.close()
            self.client.close()

    async def _until(self, condition: Callable[[], Any]) -> None:
        while not condition():
            if self._gave_up or (self._server.ended and not self._events):
                raise _LeftError
            self._turn.clear()
            await self._turn.wait()

    def _give_up(self) -> None:
        """The client ends within a request, or says what HTTP/2 has no word for."""
        if not self._is_over:
            self._reset()
        self._gave_up = True
        self._turn.set()
        raise _LeftError

    async def _watch(self) -> None:
        """Reset the stream of a client that has left."""
        while not self.client.ended or not self.client.has_left:
            await (asyncio.sleep(LOOK_SECONDS) if self.client.ended else self._wait_for_a_turn())
        if not self._is_over and not self._server.lost:
            self._reset()
        self._server.close()
        self.client.close()

    async def _wait_for_a_turn(self) -> None:
        self._turn.clear()
        await self._turn.wait()

    # ---- the server's side

    def _receive(self) -> None:
        data = self._server.take(len(self._server.received))
        try:
            events = self._h2.receive_data(data) if data else []
        except h2.exceptions.ProtocolError:
            traceback.print_exc(file=sys.stderr)
            self._server.close()
            events = []
        for event in events:
            if isinstance(event, h2.events.ConnectionTerminated):
                self._goaway = True
            elif isinstance(event, h2.events.RemoteSettingsChanged):
                self._configured = True
            elif getattr(event, "stream_id", 0) == self._stream != 0 and not isinstance(event, h2.events.WindowUpdated):
                self._is_reset |= isinstance(event, h2.events.StreamReset)
                self._is_over |= isinstance(event, (h2.events.StreamReset, h2.events.StreamEnded))
                self._events.append(event)
        self._flush()
        self._turn.set()

    def _flush(self) -> None:
        self._server.write(self._h2.data_to_send())

    def _reset(self) -> None:
        self._h2.reset_stream(self._stream, h2.errors.ErrorCodes.CANCEL)
        self._is_reset = self._is_over = True
        self._flush()

    async def _send(self, data: bytes, *, ends: bool) -> None:
        """Send content, as the windows allow; what nobody takes any more is dropped."""
        stream = self._stream
        while True:
            await self._until(lambda: self._is_reset or self._server.writable)
            if data:
                await self._until(lambda: self._is_reset or self._h2.local_flow_control_window(stream) > 0)
            if self._is_reset:
                return
            room = min(self._h2.local_flow_control_window(stream), self._h2.max_outbound_frame_size)
            piece, data = data[:room], data[room:]
            self._h2.send_data(stream, piece, end_stream=ends and not data)
            self._flush()
            if not data:
                return

    # ---- the client's side

    async def _read(self, condition: Callable[[], Any]) -> None:
        """Wait for what the client has to send."""
        if not condition() and not self.client.lost:
            self.client.wanted = True
            self.client.transport.resume_reading()
        await self._until(lambda: condition() or self.client.ended)
        self.client.wanted = False
        if not condition():
            self._give_up()

    async def _line(self) -> bytes:
        await self._read(lambda: b"\r\n" in self.client.received)
        return self.client.take(self.client.received.index(b"\r\n") + 2)[:-2]

    async def _exchange(self) -> bool:
        """Pass one request on, and its answer back; return whether another one may follow."""
        await self._read(lambda: self.client.received)
        if not self._begun:
            # Not earlier, as a connection on which nothing was sent has a time-out of its own.
            self._begun = True
            if self.client.received.startswith(PROXY_SIGNATURE):
                await self._read(lambda: len(self.client.received) >= PROXY_BYTES)
                more = int.from_bytes(self.client.received[PROXY_BYTES - 2 : PROXY_BYTES], "big")
                await self._read(lambda: len(self.client.received) >= PROXY_BYTES + more)
                self._server.write(self.client.take(PROXY_BYTES + more))
            self._h2.initiate_connection()
            self._h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: WINDOW_BYTES})
            self._h2.increment_flow_control_window(WINDOW_BYTES)
        await self._read(lambda: b"\r\n\r\n" in self.client.received)
        request = request_head(self.client.take(self.client.received.index(b"\r\n\r\n") + 4))
        extended = request.opens_websocket
        if extended:
            self._flush()
            await self._until(lambda: self._configured)
            extended = bool(self._h2.remote_settings.enable_connect_protocol)
        goes_on = request.has_content or extended or request.method == b"CONNECT"
        self._stream = self._h2.get_next_available_stream_id()
        self._is_reset = self._is_over = False
        self._events.clear()
        self._h2.send_headers(self._stream, request_fields(request, extended=extended), end_stream=not goes_on)
        if extended or request.method == b"CONNECT":
            self._flush()
            return await _Answer(self, request).pass_on()
        body = asyncio.ensure_future(self._send_body(request))
        try:
            # What is there already leaves with the head.
            await asyncio.sleep(0)
            self._flush()
            goes_on = await _Answer(self, request, body).pass_on()
            if goes_on:
                await body
        finally:
            if not body.done():
                body.cancel()
            await asyncio.gather(body, return_exceptions=True)
        return goes_on

    async def _send_body(self, request: RequestHead) -> None:
        if request.is_chunked:
            await self._send_chunks()
            return
        left = request.length
        while left:
            await self._read(lambda: self.client.received)
            piece = self.client.take(min(left, HELD_BYTES))
            left -= len(piece)
            await self._send(piece, ends=not left)

    async def _send_chunks(self) -> None:
        while True:
            try:
                left = int((await self._line()).partition(b";")[0], 16)
            except ValueError:
                self._give_up()
            if left == 0:
                break
            while left:
                await self._read(lambda: self.client.received)
                piece = self.client.take(left)
                left -= len(piece)
                # The end that is there already ends the frame, too.
                ends = not left and self.client.received.startswith(b"\r\n0\r\n\r\n")
                await self._send(piece, ends=ends)
                if ends:
                    self.client.take(7)
                    return
            await self._line()
        trailers = []
        while line := await self._line():
            name, _, value = line.partition(b":")
            trailers.append((name.lower(), value.strip()))
        if not trailers:
            await self._send(b"", ends=True)
        elif not self._is_reset:
            self._h2.send_headers(self._stream, trailers, end_stream=True)
            self._flush()

    async def tunnel(self) -> None:
        """Pass on what the client sends, until it ends."""
        while True:
            await self._until(lambda: self.client.received or self.client.ended)
            if not self.client.received:
                break
            await self._send(self.client.take(HELD_BYTES), ends=False)
        await self._send(b"", ends=True)

    async def events(self) -> collections.deque[Any]:
        """Wait for what the server says next."""
        await self._until(lambda: self._events)
        found, self._events = self._events, collections.deque()
        return found

    async def deliver(self, data: bytes, of_windows: int) -> None:
        """Give the client something; when that is on its way there is room for as much again."""
        self.client.write(data)
        await self._until(lambda: self.client.writable or self.client.lost)
        if of_windows and not self._server.lost:
            self._h2.acknowledge_received_data(of_windows, self._stream)
            self._flush()

    async def linger(self) -> None:
        """End, but read what the client sends that does not know yet; the server need not wait for that."""
        self._server.close()
        if self.client.lost:
            return
        self.client.transport.write_eof()
        deadline = asyncio.get_running_loop().time() + LINGER_SECONDS
        while not self.client.ended and asyncio.get_running_loop().time() < deadline:
            self.client.take(len(self.client.received))
            await asyncio.sleep(LOOK_SECONDS)

    @property
    def ends_soon(self) -> bool:
        return self._goaway


class _Answer:
    """The response to a request."""

    def __init__(self, conversation: _Conversation, request: RequestHead, body: Optional[asyncio.Future[None]] = None) -> None:
        self._conversation = conversation
        self._request = request
        self._body = body
        self._chunked = False
        self._trailers = b""
        self._closes = request.closes
        self._owes_continue = b"100-continue" in request.values(b"expect")

    async def pass_on(self) -> bool:
        """Return whether another request may follow."""
        while True:
            out, of_windows, ended = bytearray(), 0, False
            events = await self._conversation.events()
            while events and not ended:
                event = events.popleft()
                if isinstance(event, h2.events.StreamReset):
                    await self._conversation.deliver(out, 0)
                    return False
                if isinstance(event, h2.events.ResponseReceived):
                    head = ResponseHead(event.headers)
                    if self._body is None and head.status < 300:
                        return await self._tunnel(head, events)
                    out += self._head(head, ends=any(isinstance(each, h2.events.StreamEnded) for each in events))
                else:
                    out += self._rest(event)
                of_windows += getattr(event, "flow_controlled_length", 0)
                ended = isinstance(event, h2.events.StreamEnded)
            await self._conversation.deliver(out, of_windows)
            if ended:
                early = self._body is not None and not self._body.done()
                if self._closes and early:
                    await self._conversation.linger()
                return not self._closes

    def _rest(self, event: Any) -> bytes:
        """Write what is no final head."""
        if isinstance(event, h2.events.InformationalResponseReceived):
            self._owes_continue = False
            return ResponseHead(event.headers).text()
        if isinstance(event, h2.events.DataReceived):
            chunk = b"%x\r\n%b\r\n" % (len(event.data), event.data)
            return chunk if event.data and self._chunked else bytes(event.data)
        if isinstance(event, h2.events.TrailersReceived):
            self._trailers = b"".join(b"%b: %b\r\n" % pair for pair in event.headers)
        elif isinstance(event, h2.events.StreamEnded) and self._chunked:
            return b"0\r\n%b\r\n" % self._trailers
        return b""

    def _head(self, head: ResponseHead, *, ends: bool) -> bytes:
        content = self._request.method != b"HEAD" and head.status not in (204, 304)
        self._chunked = content and head.length is None and self._request.version != b"HTTP/1.0"
        # A whole answer to what is no whole request is the last one, and so is one to who may or may not send its body.
        body_missing = self._body is not None and not self._body.done()
        self._closes |= self._conversation.ends_soon or (body_missing and (ends or self._owes_continue))
        self._closes |= content and head.length is None and not self._chunked
        own = [b"Connection: close"] if self._closes else []
        if self._request.version == b"HTTP/1.0" and not self._closes:
            own.append(b"Connection: keep-alive")
        return head.text(*own, *([b"Transfer-Encoding: chunked"] if self._chunked else []))

    async def _tunnel(self, head: ResponseHead, events: collections.deque[Any]) -> bool:
        conversation, request = self._conversation, self._request
        await conversation.deliver(head.switching_text(request) if request.method != b"CONNECT" else head.text(), 0)
        sending = asyncio.ensure_future(conversation.tunnel())
        last: Any = None
        try:
            while last is None:
                for event in events:
                    if isinstance(event, h2.events.DataReceived):
                        await conversation.deliver(event.data, event.flow_controlled_length)
                    elif isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset)):
                        last = event
                if last is None:
                    events = await conversation.events()
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        if isinstance(last, h2.events.StreamEnded):
            # What arrives at a closed socket resets it, and takes the last message from a client that has not read it yet.
            await conversation.linger()
        return False


@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="face of HTTP/1.1", daemon=True).start()
    return loop


class Face:
    """A port that speaks HTTP/1.1 for a server at another one."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._tasks: set[asyncio.Future[None]] = set()
        self._listener: Any = asyncio.run_coroutine_threadsafe(self._listen(), _loop()).result(10)
        self.port: int = self._listener.sockets[0].getsockname()[1]

    async def _listen(self) -> Any:
        return await asyncio.get_running_loop().create_server(self._begin, "127.0.0.1", backlog=1000)

    def _begin(self) -> asyncio.Protocol:
        conversation = _Conversation(self._to)
        task = asyncio.ensure_future(conversation.run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return conversation.client

    def close(self) -> None:
        _loop().call_soon_threadsafe(self._listener.close)
