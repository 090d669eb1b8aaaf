"""The content of a session as text."""

from __future__ import annotations

import json
from typing import Any

_SHORT = (",", ":")


def dump(values: dict[str, Any]) -> str:
    """Return values as JSON.

    Raises:
        TypeError, ValueError: JSON cannot hold them.

    """
    try:
        text = json.dumps(values, separators=_SHORT, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        message = f"a session holds what JSON can hold: {error}"
        raise type(error)(message) from error
    try:
        text.encode()
    except UnicodeEncodeError:
        # Text of clients may hold surrogates, which JSON can only escape.
        return json.dumps(values, separators=_SHORT)
    return text


def load(text: str) -> dict[str, Any]:
    """Return the values that were dumped; none if they were not.

    Args:
        text: what :func:`dump` returned.

    """
    try:
        values = json.loads(text)
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}
