"""The messages of a channel layer as bytes: JSON (RFC 8259), in which bytes are written as base64.

An object with one member, whose name is U+0000, stands for bytes; names that begin with U+0000 get another one in front.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import Any

_MARK = "\0"
#: How the mark is written: without it there is nothing to translate.
_WRITTEN_MARK = b"\\u0000"
_SIMPLE = (str, int, float, type(None))


def encode_message(message: dict[str, Any]) -> bytes:
    """Return a message as bytes.

    Args:
        message: a dict whose keys are str, of str, bytes, int, float, bool, None, lists, tuples and such dicts. Tuples become
            lists.

    Raises:
        TypeError: it is, or contains, something else; the text says where.

    """
    if not isinstance(message, dict):
        error = f"a message must be a dict, not {type(message).__name__}"
        raise TypeError(error)
    return json.dumps(_plain(message, "message"), separators=(",", ":"), check_circular=False).encode()


def decode_message(data: bytes) -> dict[str, Any]:
    """Return the message that :func:`encode_message` made bytes of.

    Raises:
        ValueError: it made no such bytes.

    """
    message = json.loads(data, object_hook=_restored if _WRITTEN_MARK in data else None)
    if not isinstance(message, dict):
        error = f"this is no message of a channel layer: {data[:100]!r}"
        raise ValueError(error)
    return message


def _plain(value: Any, where: str) -> Any:
    if isinstance(value, _SIMPLE):
        return value
    if isinstance(value, dict):
        plain = {}
        for key, each in value.items():
            if not isinstance(key, str):
                error = f"{where} has the key {key!r}: keys must be str"
                raise TypeError(error)
            name = _MARK + key if key.startswith(_MARK) else key
            plain[name] = each if isinstance(each, _SIMPLE) else _plain(each, f"{where}[{key!r}]")
        return plain
    if isinstance(value, (list, tuple)):
        return [each if isinstance(each, _SIMPLE) else _plain(each, f"{where}[{index}]") for index, each in enumerate(value)]
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {_MARK: b64encode(value).decode()}
    error = f"{where} is {type(value).__name__}: messages hold str, bytes, int, float, bool, None, lists and dicts"
    raise TypeError(error)


def _restored(value: dict[str, Any]) -> Any:
    if len(value) == 1 and _MARK in value:
        return b64decode(value[_MARK], validate=True)
    return {key[1:] if key.startswith(_MARK) else key: each for key, each in value.items()}
