"""What users send, publish and close with, as the native side takes it."""

from __future__ import annotations

from typing import Any, Optional, Union

from ..core.core import Core
from ..native.abi import WS_COMPRESS
from .constants import OpCode

_CLOSE_REASON_MAX = 123
_TOPIC_MAX = 65535


def encode(core: Core, data: Any) -> bytes:
    """Return the bytes of what a user sends."""
    if isinstance(data, str):
        return data.encode()
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)
    if data is None:
        return b""
    text = core.dumps(data)
    return text.encode() if isinstance(text, str) else text


def encode_topic(topic: str) -> bytes:
    """Return the bytes of a topic.

    Raises:
        TypeError: it is not str.
        ValueError: it is longer than 65535 bytes.

    """
    if not isinstance(topic, str):
        message = f"topic must be str, not {type(topic).__name__}"
        raise TypeError(message)
    name = topic.encode()
    if len(name) > _TOPIC_MAX:
        message = f"topic must have at most {_TOPIC_MAX} bytes, not {len(name)}"
        raise ValueError(message)
    return name


def encode_publication(
    core: Core, topic: str, data: Any, opcode: Union[OpCode, int], compress: bool
) -> tuple[bytes, bytes, int]:
    """Return the topic and the data as bytes, and the flags.

    Raises:
        TypeError, ValueError: see :func:`encode_topic`; or opcode is not TEXT or BINARY.

    """
    name = encode_topic(topic)
    payload = encode(core, data)
    kind = checked_opcode(opcode)
    if kind not in (OpCode.TEXT, OpCode.BINARY):
        message = f"opcode of what is published must be TEXT or BINARY, not {kind.name}"
        raise ValueError(message)
    return name, payload, kind | (WS_COMPRESS if compress else 0)


def checked_opcode(opcode: Union[OpCode, int]) -> OpCode:
    """Return the member of :class:`OpCode`.

    Raises:
        ValueError: there is none.

    """
    try:
        return OpCode(opcode)
    except ValueError:
        message = f"opcode must be one of OpCode, not {opcode!r}"
        raise ValueError(message) from None


def encode_reason(message: Optional[Union[str, bytes]]) -> bytes:
    """Return as much of the reason for closing as fits into a frame.

    Raises:
        TypeError: it is not str, bytes or None.
        ValueError: it is not UTF-8.

    """
    if message is None:
        return b""
    if not isinstance(message, (str, bytes)):
        text = f"message must be str, bytes or None, not {type(message).__name__}"
        raise TypeError(text)
    try:
        reason = message if isinstance(message, str) else message.decode()
    except UnicodeDecodeError as error:
        text = f"message must be UTF-8: {error}"
        raise ValueError(text) from None
    encoded = reason.encode()
    if len(encoded) > _CLOSE_REASON_MAX:
        # Not in the middle of a character.
        return encoded[:_CLOSE_REASON_MAX].decode(errors="ignore").encode()
    return encoded
