"""The bytes that the native side takes of what users send, publish and close with."""

from __future__ import annotations

from typing import Any, Union

from ..core.core import Core
from ..native.abi import WS_COMPRESS, WS_REASON_MAX, WS_TOPIC_MAX, WS_TOPICS_RESERVED
from .constants import OpCode

#: What is wrong with one that the framework uses itself.
RESERVED_TOPIC = f"topic must not begin with {WS_TOPICS_RESERVED}, as those are the framework's own"


#: The name of a topic: bytes are taken for UTF-8.
Topic = Union[str, bytes]


def topic_name(topic: Topic) -> str:
    """Return the name of a topic as text.

    Raises:
        TypeError: it is not str or bytes.
        ValueError: it is not UTF-8.

    """
    if isinstance(topic, str):
        return topic
    if not isinstance(topic, bytes):
        message = f"topic must be str or bytes, not {type(topic).__name__}"
        raise TypeError(message)
    try:
        return topic.decode()
    except UnicodeDecodeError as error:
        message = f"topic must be UTF-8: {error}"
        raise ValueError(message) from None


def encode_topic(topic: Topic) -> bytes:
    """Return the bytes of a topic.

    Raises:
        TypeError: it is not str or bytes.
        ValueError: it is not UTF-8, or longer than 65535 bytes.

    """
    name = topic_name(topic).encode()
    if len(name) > WS_TOPIC_MAX:
        message = f"topic must have at most {WS_TOPIC_MAX} bytes, not {len(name)}"
        raise ValueError(message)
    return name


def encode_publication(
    core: Core, topic: Topic, data: Any, opcode: Union[OpCode, int], compress: bool
) -> tuple[bytes, bytes, int]:
    """Return the topic and the data as bytes, and the flags.

    Raises:
        TypeError, ValueError: see :func:`encode_topic` and :func:`check_text`; or opcode is not TEXT or BINARY.

    """
    name = encode_topic(topic)
    payload, _ = core.encoded(data)
    kind = checked_opcode(opcode)
    if kind is OpCode.TEXT and not isinstance(data, str):
        check_text(payload)
    if kind not in (OpCode.TEXT, OpCode.BINARY):
        message = f"opcode of what is published must be TEXT or BINARY, not {kind.name}"
        raise ValueError(message)
    return name, payload, kind | (WS_COMPRESS if compress else 0)


def check_text(data: bytes) -> None:
    """Check what is sent as TEXT: whoever gets a message that is none fails the connection (RFC 6455 section 8.1).

    Raises:
        ValueError: it is not UTF-8.

    """
    try:
        data.decode()
    except UnicodeDecodeError as error:
        message = f"message must be UTF-8 where opcode is TEXT; send it as BINARY: {error}"
        raise ValueError(message) from None


def checked_opcode(opcode: Union[OpCode, int]) -> OpCode:
    """Return the member of :class:`OpCode`.

    Raises:
        ValueError: there is no such member.

    """
    try:
        return OpCode(opcode)
    except ValueError:
        message = f"opcode must be one of OpCode, not {opcode!r}"
        raise ValueError(message) from None


def encode_reason(core: Core, message: Any) -> bytes:
    """Return as much of the reason for closing as fits into a frame.

    Raises:
        ValueError: it is not UTF-8.

    """
    encoded, _ = core.encoded(message)
    try:
        encoded.decode()
    except UnicodeDecodeError as error:
        text = f"message must be UTF-8: {error}"
        raise ValueError(text) from None
    if len(encoded) > WS_REASON_MAX:
        # Not in the middle of a character.
        return encoded[:WS_REASON_MAX].decode(errors="ignore").encode()
    return encoded
