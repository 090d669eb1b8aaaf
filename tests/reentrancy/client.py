"""A plain client: one request or websocket, and in a word what became of it."""

from __future__ import annotations

import contextlib
import socket
import time

_HANDSHAKE = (
    "GET /{path} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Reader:
    """Reads answers and frames of one connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = bytearray()

    def _more(self) -> None:
        try:
            data = self._connection.recv(1 << 20)
        except ConnectionResetError:
            data = b""
        if not data:
            raise EOFError
        self._buffer += data

    def until(self, mark: bytes) -> bytes:
        while (found := self._buffer.find(mark)) < 0:
            self._more()
        return self.exactly(found + len(mark))

    def exactly(self, length: int) -> bytes:
        while len(self._buffer) < length:
            self._more()
        data = bytes(self._buffer[:length])
        del self._buffer[:length]
        return data

    def answer(self) -> tuple[int, bytes, bool]:
        """Give status and body of the next final answer, and whether the connection is kept."""
        while True:
            head = self.until(b"\r\n\r\n")
            status = int(head.split()[1])
            if status >= 200 or status == 101:
                break
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
        kept = fields.get(b"connection") != b"close"
        body = b""
        if b"content-length" in fields:
            body = self.exactly(int(fields[b"content-length"]))
        elif b"transfer-encoding" in fields:
            while size := int(self.until(b"\r\n"), 16):
                body += self.exactly(size + 2)[:-2]
            self.until(b"\r\n")
        return status, body, kept

    def frame(self) -> tuple[int, bytes]:
        first, length = self.exactly(2)
        if length >= 126:
            length = int.from_bytes(self.exactly(2 if length == 126 else 8), "big")
        return first & 15, self.exactly(length)


def connected(port: int) -> socket.socket:
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    connection.settimeout(socket.getdefaulttimeout())
    connection.connect(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def request(port: int, callback: str) -> str:
    """Send a request with a body, and another one behind it when the connection is kept."""
    with connected(port) as connection:
        reader = Reader(connection)
        connection.sendall(
            f"POST /{callback}/value?q=1 HTTP/1.1\r\nHost: own.example\r\nContent-Length: 4\r\n\r\nbody".encode()
        )
        try:
            status, body, kept = reader.answer()
        except EOFError:
            return "cut"
        except socket.timeout:
            return "silence"
        said = f"{status} {body.decode().lstrip('x')}"
        if not kept:
            return said + ", closed"
        try:
            connection.sendall(b"GET /ok HTTP/1.1\r\nHost: a\r\n\r\n")
            status, _, _ = reader.answer()
        except (EOFError, OSError):
            return said + ", then cut"
        return said if status == 200 else f"{said}, then {status}"


def masked(opcode: int, payload: bytes) -> bytes:
    return bytes((0x80 | opcode, 0x80 | len(payload))) + bytes(4) + payload


def websocket(port: int, path: str, callback: str) -> str:
    """Open, send a message that is echoed, and close."""
    with connected(port) as connection:
        reader = Reader(connection)
        try:
            connection.sendall(_HANDSHAKE.format(path=path).encode())
            status, body, _ = reader.answer()
            if status != 101:
                return f"{status} {body.decode()}"
            with contextlib.suppress(ConnectionError):
                if callback == "ws ping":
                    connection.sendall(masked(9, b"ping"))
                if callback == "ws pong":
                    connection.sendall(masked(10, b"pong"))
                connection.sendall(masked(1, b"echo"))
            while True:
                opcode, payload = reader.frame()
                if opcode == 8:
                    return f"closed {int.from_bytes(payload[:2], 'big')}"
                if (opcode, payload) == (1, b"echo"):
                    break
            connection.sendall(masked(8, b"\x03\xe8"))
            while True:
                opcode, payload = reader.frame()
                if opcode == 8:
                    return f"echo, closed {int.from_bytes(payload[:2], 'big')}"
        except EOFError:
            return "cut"
        except ConnectionError:
            return "cut"
        except socket.timeout:
            return "silence"


def ok(port: int) -> str:
    """Whether a request on a new connection is served."""
    try:
        with connected(port) as connection:
            connection.sendall(b"GET /ok HTTP/1.1\r\nHost: a\r\n\r\n")
            status, _, _ = Reader(connection).answer()
            return "served" if status == 200 else f"{status}"
    except EOFError:
        return "cut"
    except socket.timeout:
        return "silence"
    except OSError:
        return "refused"


def refused(port: int) -> str:
    """Whether nobody listens any more, soon."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return "refused"
        time.sleep(0.002)
    return "listens"
