"""Numbers of the WebSocket protocol and of the engine that programs use."""

from __future__ import annotations

from enum import IntEnum


class OpCode(IntEnum):
    """What a frame holds (RFC 6455 section 5.2)."""

    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


class SendStatus(IntEnum):
    """The result of sending a message."""

    #: Accepted; part of it waits in memory until the client reads more.
    BACKPRESSURE = 0
    #: Accepted, and handed to the system or to the packet that leaves when the handler returns.
    SUCCESS = 1
    #: Not sent: the connection is closed, or owes the client more than ``max_backpressure`` bytes.
    DROPPED = 2


class CompressOptions(IntEnum):
    """How messages are compressed (RFC 7692): a compressor, a decompressor, or both joined by ``|``.

    A shared one serves all connections and forgets everything after each message. A dedicated one remembers the
    connection's messages in a window of the size in its name, which is also about the memory that it takes.
    """

    DISABLED = 0
    SHARED_COMPRESSOR = 1
    SHARED_DECOMPRESSOR = 1 << 8
    DEDICATED_DECOMPRESSOR_32KB = 15 << 8
    DEDICATED_DECOMPRESSOR_16KB = 14 << 8
    DEDICATED_DECOMPRESSOR_8KB = 13 << 8
    DEDICATED_DECOMPRESSOR_4KB = 12 << 8
    DEDICATED_DECOMPRESSOR_2KB = 11 << 8
    DEDICATED_DECOMPRESSOR_1KB = 10 << 8
    DEDICATED_DECOMPRESSOR_512B = 9 << 8
    DEDICATED_DECOMPRESSOR = 15 << 8
    DEDICATED_COMPRESSOR_3KB = 9 << 4 | 1
    DEDICATED_COMPRESSOR_4KB = 9 << 4 | 2
    DEDICATED_COMPRESSOR_8KB = 10 << 4 | 3
    DEDICATED_COMPRESSOR_16KB = 11 << 4 | 4
    DEDICATED_COMPRESSOR_32KB = 12 << 4 | 5
    DEDICATED_COMPRESSOR_64KB = 13 << 4 | 6
    DEDICATED_COMPRESSOR_128KB = 14 << 4 | 7
    DEDICATED_COMPRESSOR_256KB = 15 << 4 | 8
    DEDICATED_COMPRESSOR = 15 << 4 | 8


_COMPRESSORS = frozenset(option for option in CompressOptions if option < CompressOptions.SHARED_DECOMPRESSOR)
_DECOMPRESSORS = frozenset(option for option in CompressOptions if option >= CompressOptions.SHARED_DECOMPRESSOR)


def is_compression(value: int) -> bool:
    """Return whether a number is a compressor, a decompressor, or one of each."""
    compressor, decompressor = value & 0xFF, value & ~0xFF
    return compressor in _COMPRESSORS and (decompressor == 0 or decompressor in _DECOMPRESSORS)
