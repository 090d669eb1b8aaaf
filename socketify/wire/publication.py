"""A published message as plain bytes, for brokers that carry nothing else: other programs read and write it as it is."""

from __future__ import annotations

#: Begins what could not be told from its bytes alone: a byte of flags and the message follow. It is not UTF-8.
_ENVELOPE = b"\xffsk"
_TEXT = 1
_COMPRESS = 2
_HEAD_BYTES = len(_ENVELOPE) + 1


def encode_message(data: bytes, is_text: bool, compress: bool) -> bytes:
    """Return the bytes that a broker carries: the message itself, if that is text as UTF-8, or binary and not UTF-8.

    Other messages, and all that websockets get compressed, have an envelope.

    Args:
        data: the message.
        is_text: whether it is text.
        compress: whether websockets get it compressed.

    """
    if not compress and is_utf8(data) == is_text and not data.startswith(_ENVELOPE):
        return data
    flags = (_TEXT if is_text else 0) | (_COMPRESS if compress else 0)
    return _ENVELOPE + bytes((flags,)) + data


def decode_message(payload: bytes) -> tuple[bytes, bool, bool]:
    """Return a message, whether it is text, and whether websockets get it compressed.

    Args:
        payload: from :func:`encode_message`, or any bytes of another program.

    """
    if payload.startswith(_ENVELOPE) and len(payload) >= _HEAD_BYTES:
        flags = payload[len(_ENVELOPE)]
        if flags <= _TEXT | _COMPRESS:
            return payload[_HEAD_BYTES:], bool(flags & _TEXT), bool(flags & _COMPRESS)
    return payload, is_utf8(payload), False


def is_utf8(data: bytes) -> bool:
    """Return whether data is UTF-8."""
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
