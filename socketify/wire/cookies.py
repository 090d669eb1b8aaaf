"""Cookies: the Cookie and Set-Cookie fields (RFC 6265)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import format_datetime
from http.cookies import CookieError, SimpleCookie
from typing import Any, Optional

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ESCAPED = re.compile(r"\\(?:([0-3][0-7][0-7])|(.))")
_ATTRIBUTES = {
    "expires": "expires",
    "path": "path",
    "comment": "comment",
    "domain": "domain",
    "max-age": "max-age",
    "max_age": "max-age",
    "secure": "secure",
    "version": "version",
    "httponly": "httponly",
    "samesite": "samesite",
}
_FLAGS = ("secure", "httponly")
_SAME_SITE = {"strict": "Strict", "lax": "Lax", "none": "None"}


def parse_cookies(field: Optional[str]) -> dict[str, str]:
    """Read a Cookie field leniently: parts without a name and value are left out, of equal names the first counts.

    Args:
        field: the value, decoded as latin-1; None for no field.

    """
    cookies: dict[str, str] = {}
    for part in (field or "").split(";"):
        name, equals, value = part.partition("=")
        name = name.strip(" \t")
        if equals and name and name not in cookies:
            cookies[name] = _decoded(value.strip(" \t"))
    return cookies


def _decoded(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = _ESCAPED.sub(lambda match: chr(int(match[1], 8)) if match[1] else match[2], value[1:-1])
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value


def set_cookie_field(name: str, value: str, options: Optional[Mapping[str, Any]] = None) -> str:
    """Make the value of a Set-Cookie field.

    Args:
        name: a token.
        value: any text without control characters; what a cookie cannot hold is quoted as :mod:`http.cookies` does.
        options: attributes: ``expires`` (a datetime, seconds from now, or text), ``path``, ``comment``, ``domain``, ``max-age``
            (or ``max_age``) in seconds, ``secure``, ``version``, ``httponly``, ``samesite`` ("strict", "lax" or "none").

    Raises:
        TypeError: the name or the value is not str.
        ValueError: a name, value or attribute cannot be sent.

    """
    for what, text in (("name", name), ("value", value)):
        if not isinstance(text, str):
            message = f"cookie {what} must be str, not {type(text).__name__}"
            raise TypeError(message)
        if _CONTROL.search(text):
            message = f"cookie {what} holds control characters: {text!r}"
            raise ValueError(message)
    cookie: SimpleCookie = SimpleCookie()
    try:
        # Encode as UTF-8, of which bytes outside ASCII are quoted.
        cookie[name] = value.encode().decode("latin-1")
    except CookieError as error:
        message = f"cookie name cannot be sent: {name!r}"
        raise ValueError(message) from error
    for key, setting in (options or {}).items():
        attribute = _ATTRIBUTES.get(key.lower() if isinstance(key, str) else "")
        if attribute is None:
            message = f"cookie option is unknown: {key!r}; there are {', '.join(_ATTRIBUTES)}"
            raise ValueError(message)
        if setting is None or setting is False:
            continue
        cookie[name][attribute] = _attribute(attribute, setting)
    return cookie[name].OutputString()


def _attribute(attribute: str, setting: Any) -> Any:
    if attribute in _FLAGS:
        return bool(setting)
    if attribute == "samesite":
        text = _SAME_SITE.get(str(setting).lower())
        if text is None:
            message = f"cookie option samesite must be 'strict', 'lax' or 'none', not {setting!r}"
            raise ValueError(message)
        return text
    if attribute == "expires" and isinstance(setting, datetime):
        aware = setting if setting.tzinfo is not None else setting.replace(tzinfo=timezone.utc)
        return format_datetime(aware.astimezone(timezone.utc), usegmt=True)
    if attribute in ("max-age", "expires") and isinstance(setting, int):
        return setting
    text = str(setting)
    if attribute == "max-age" and not text.lstrip("-").isdigit():
        message = f"cookie option max-age must be whole seconds, not {setting!r}"
        raise ValueError(message)
    if _CONTROL.search(text) or ";" in text or not text.isascii():
        message = f"cookie option {attribute} holds characters that it cannot: {text!r}"
        raise ValueError(message)
    return text
