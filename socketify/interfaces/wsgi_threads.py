"""WSGI in a pool of threads: an application that blocks stops nobody else."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Callable, Optional

from ..native import lib
from ..native.declarations import BUFFERED, GONE, SCOPE_BODY
from .wsgi_exchange import PIECE_BYTES, Exchange
from .wsgi_file import FilePart
from .wsgi_native import end_response, send_response, stream_response

if TYPE_CHECKING:
    from .wsgi_environ import Environ
    from .wsgi_gateway import Gateway
    from .wsgi_head import Head

#: Bytes that a thread may be ahead of its connection.
_AHEAD_MAX = 256 * 1024
#: Seconds that threads get to finish when the server stops.
_STOP_SECONDS = 5.0


class Workers:
    """Threads that take work in the order of its coming."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._queue: SimpleQueue[Optional[Callable[[], None]]] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self.submit = self._queue.put

    def start(self) -> None:
        """Start the threads."""
        for number in range(self._count):
            # A daemon: what hangs in the application cannot keep the process from ending.
            thread = threading.Thread(target=self._work, name=f"socketify-wsgi-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def _work(self) -> None:
        get = self._queue.get
        while True:
            work = get()
            if work is None:
                return
            work()
            # Not held while it waits for more.
            del work

    async def stop(self) -> None:
        """Let the threads finish what they do, for a while."""
        for _ in self._threads:
            self._queue.put(None)
        await asyncio.get_running_loop().run_in_executor(None, self._join)

    def _join(self) -> None:
        deadline = time.monotonic() + _STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._threads.clear()


class ThreadedExchange(Exchange):
    """A request whose application is called by a thread of the pool."""

    __slots__ = ("_ahead", "_buffered", "_room")

    def __init__(self, gateway: Gateway, handle: int, environ: Environ) -> None:
        super().__init__(gateway, handle, environ)
        self._room: Optional[threading.Condition] = None
        # Bytes that were posted and not taken yet; of these, what waits for the client.
        self._ahead = 0
        self._buffered = 0

    def itself(self) -> ThreadedExchange:
        """Give this; what the app knows handles by."""
        return self

    # ---- on a thread of the pool

    def run(self) -> None:
        """Call the application and send its result."""
        result: Any = None
        try:
            result = self._gateway.application(self.environ, self.start_response)
            part = self.file_of(result)
            if part is not None:
                self._send_file(part)
            elif not self.answer_whole(result):
                for data in self.blocks_of(result):
                    if not self.put_block(data):
                        break
                self.finish()
        except BaseException as error:
            # Behind what was posted before; whatever is posted later finds no response any more.
            self._gateway.fail(0 if self.left else self.handle, error)
        self.close_result(result)

    def _send_file(self, part: FilePart) -> None:
        descriptor, offset, length = part
        end = offset + (length if self.method != "HEAD" else 0)
        while offset < end and not self.left:
            data = os.pread(descriptor, min(PIECE_BYTES, end - offset), offset)
            if not data:
                break
            offset += len(data)
            self.put(data)
        self.finish()

    def _transmit(self, head: Optional[Head], data: bytes) -> None:
        room = self._room
        if room is None:
            room = self._room = threading.Condition()
        with room:
            while self._ahead > _AHEAD_MAX and not self.left:
                room.wait()
            self._ahead += len(data)
        if not self.left and not self._gateway.post(self._stream_now, head, data):
            self.left = True

    def _send_whole(self, head: Head, data: bytes) -> None:
        self._gateway.post(self._send_now, head, data)

    def _end(self, cut: bool) -> None:
        self._gateway.post(self._end_now, cut)

    # ---- on the loop's thread

    def _stream_now(self, head: Optional[Head], data: bytes) -> None:
        if self.left:
            return
        result = stream_response(self.handle, head, data)
        if result == GONE:
            self._on_abort()
        elif result == BUFFERED:
            self._buffered += len(data)
            lib.sk_res_want_writable(self.handle)
        else:
            self._took(self._buffered + len(data))

    def _took(self, size: int) -> None:
        self._buffered = 0
        assert self._room is not None
        with self._room:
            self._ahead -= size
            self._room.notify()

    def _send_now(self, head: Head, data: bytes) -> None:
        self._gateway.native._live.pop(self.handle, None)
        send_response(self.handle, head, data, self.method)

    def _end_now(self, cut: bool) -> None:
        self._gateway.native._live.pop(self.handle, None)
        end_response(self.handle, cut)

    def submit(self) -> None:
        """Let the pool call the application."""
        workers = self._gateway.workers
        assert workers is not None
        workers.submit(self.run)

    def read_body(self) -> None:
        """Collect the body, then let the pool call the application."""
        self.body = self._gateway.new_body()
        lib.sk_res_read_body(self.handle)

    def _on_body(self, chunk: bytes, last: bool) -> None:
        if self._gateway.collect(self, chunk, last):
            self.submit()

    def _on_writable(self) -> None:
        if self._buffered:
            self._took(self._buffered)

    def _on_abort(self) -> None:
        self.left = True
        room = self._room
        if room is not None:
            with room:
                room.notify()


def threaded_request(gateway: Gateway) -> Callable[[int, int, Environ], None]:
    """Make the function that takes requests."""
    live = gateway.native._live

    def on_request(handle: int, flags: int, environ: Environ) -> None:
        exchange = ThreadedExchange(gateway, handle, environ)
        live[handle] = exchange.itself
        if flags & SCOPE_BODY:
            exchange.read_body()
        else:
            exchange.submit()

    return on_request


def threaded_callback(gateway: Gateway) -> Callable[[int], int]:
    """Make what takes every request where the native side cannot make the environ itself."""
    build = gateway.build
    take = threaded_request(gateway)

    def on_request(handle: int) -> int:
        try:
            flags, environ = build(handle)
            take(handle, flags, environ)
        except BaseException as error:
            gateway.fail(handle, error)
        return 0

    return on_request
