"""A client of HTTP/2 that a test drives frame by frame: Python's h2 over a blocking socket."""

from __future__ import annotations

import socket
from types import TracebackType
from typing import Any, Callable, Optional

import h2.events
from app_servers import TLS
from http2_connection import client_connection

Fields = list[tuple[str, str]]


class Answer:
    """What has arrived on a stream."""

    def __init__(self) -> None:
        self.interim: list[Fields] = []
        self.head: Fields = []
        self._parts: list[bytes] = []
        self.trailers: Fields = []
        self.ended = False
        #: The code of a reset.
        self.reset: Optional[int] = None

    @property
    def status(self) -> int:
        return int(dict(self.head)[":status"])

    @property
    def body(self) -> bytes:
        if len(self._parts) > 1:
            self._parts = [b"".join(self._parts)]
        return self._parts[0] if self._parts else b""

    def add(self, content: bytes) -> None:
        self._parts.append(content)

    def field(self, name: str) -> Optional[str]:
        return dict(self.head).get(name)


class Client:
    """A connection. Methods that wait fail after ten seconds without a byte.

    Args:
        port: of the server.
        opens_windows: whether what was received may be sent again at once.
        strict: whether requests are checked before they are sent.
        in_pieces: whether the preface and the settings are sent byte by byte.
        connection: what was opened already, and is to be used.
        receive_bytes: that the system keeps of what was not read.

    """

    def __init__(
        self,
        port: int = 0,
        opens_windows: bool = True,
        strict: bool = True,
        in_pieces: bool = False,
        connection: Optional[socket.socket] = None,
        receive_bytes: Optional[int] = None,
    ) -> None:
        self.socket = connection or socket.socket()
        if receive_bytes is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        if connection is None:
            self.socket.connect(("127.0.0.1", port))
        self.socket.settimeout(10)
        if connection is None and TLS is not None:
            context = TLS.client()
            context.set_alpn_protocols(["h2"])
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
        self.h2 = client_connection(encoding="latin-1", strict=strict)
        self.opens_windows = opens_windows
        self.answers: dict[int, Answer] = {}
        #: The last GOAWAY, or whether the connection is lost.
        self.goaway: Optional[tuple[int, int]] = None
        self.lost = False
        self.acknowledged_pings = 0
        self.h2.initiate_connection()
        if in_pieces:
            data = self.h2.data_to_send()
            for index in range(len(data)):
                self.socket.sendall(data[index : index + 1])
        self.flush()

    def flush(self) -> None:
        if data := self.h2.data_to_send():
            self.socket.sendall(data)

    def request(self, path: str = "/", method: str = "GET", *fields: tuple[str, str], body: Optional[bytes] = None) -> int:
        """Send a request; return its stream."""
        stream = self.begin(path, method, *fields, ends=body is None)
        if body is not None:
            self.send(stream, body, ends=True)
        return stream

    def begin(self, path: str, method: str = "GET", *fields: tuple[str, str], ends: bool = False) -> int:
        scheme = "http" if TLS is None else "https"
        head = [(":method", method), (":scheme", scheme), (":authority", "localhost"), (":path", path)]
        return self.open([*head, *fields], ends)

    def open(self, head: Fields, ends: bool = False) -> int:
        """Send a head as it is."""
        stream = self.begin_unsent(head, ends)
        self.flush()
        return stream

    def begin_unsent(self, head: Fields, ends: bool = False) -> int:
        """Prepare a head, which leaves with what is sent next."""
        stream: int = self.h2.get_next_available_stream_id()
        self.answers[stream] = Answer()
        self.h2.send_headers(stream, head, end_stream=ends)
        return stream

    def send(self, stream: int, data: bytes, ends: bool = False) -> None:
        """Send content, as the windows allow."""
        while True:
            if data:
                self.wait_for(lambda: self.h2.local_flow_control_window(stream) > 0)
            size = min(len(data), self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            self.h2.send_data(stream, data[:size], end_stream=ends and size == len(data))
            self.flush()
            data = data[size:]
            if not data:
                return

    def wait_for(self, condition: Callable[[], Any]) -> None:
        while not condition():
            if not self.receive():
                message = "the connection is lost"
                raise ConnectionError(message)

    def wait(self, stream: int) -> Answer:
        """Wait until a stream has ended."""
        answer = self.answers[stream]
        self.wait_for(lambda: answer.ended or answer.reset is not None)
        return answer

    def get(self, path: str = "/", *fields: tuple[str, str]) -> Answer:
        return self.wait(self.request(path, "GET", *fields))

    def post(self, path: str, body: bytes, *fields: tuple[str, str]) -> Answer:
        return self.wait(self.request(path, "POST", *fields, body=body))

    def receive(self) -> bool:
        """Handle what arrives next; return False at the end of the connection."""
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            self.lost = True
            return False
        for event in self.h2.receive_data(data):
            self._handle(event)
        self.flush()
        return True

    def receive_all(self) -> None:
        while self.receive():
            pass

    def _handle(self, event: Any) -> None:
        answer = self.answers.get(getattr(event, "stream_id", 0) or 0)
        if isinstance(event, h2.events.ConnectionTerminated):
            self.goaway = (event.last_stream_id, int(event.error_code))
        elif isinstance(event, h2.events.PingAckReceived):
            self.acknowledged_pings += 1
        if answer is None:
            return
        if isinstance(event, h2.events.InformationalResponseReceived):
            answer.interim.append(event.headers)
        elif isinstance(event, h2.events.ResponseReceived):
            answer.head = event.headers
        elif isinstance(event, h2.events.DataReceived):
            answer.add(event.data)
            if self.opens_windows and event.flow_controlled_length:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.TrailersReceived):
            answer.trailers = event.headers
        elif isinstance(event, h2.events.StreamEnded):
            answer.ended = True
        elif isinstance(event, h2.events.StreamReset):
            answer.reset = int(event.error_code)

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], where: Optional[TracebackType]
    ) -> None:
        self.close()
