"""What of an app's responses is compressed, and how."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Optional, Union

from .coders import EXTRAS, LEVELS, PACKAGES, installed_codings, new_coder

_MINIMUM_SIZE_MAX = 2**31 - 1
#: What compresses well; a star stands for the rest of a name, or for what is before a suffix.
USUAL_MEDIA_TYPES = (
    "text/*",
    "application/*+json",
    "application/*+xml",
    "application/javascript",
    "application/json",
    "application/manifest+json",
    "application/wasm",
    "application/x-javascript",
    "application/x-ndjson",
    "application/xml",
    "application/yaml",
    "font/otf",
    "font/ttf",
    "image/bmp",
    "image/svg+xml",
    "image/vnd.microsoft.icon",
    "image/x-icon",
)


@dataclass(frozen=True)
class ResponseCompression:
    """How responses are compressed, for clients that accept it (RFC 9110 section 8.4).

    Args:
        codings: of ``"zstd"``, ``"br"`` and ``"gzip"``, the favourite first, as a list or with commas between; None for those
            that are installed, in this order. gzip always is.
        media_types: what is compressed, as a list or with commas between: ``text/html``, ``text/*`` or ``application/*+json``.
        minimum_size: bytes of content below which it is not worth it; content whose length is not known is compressed.
        zstd_level: 1 to 22.
        br_level: 0 to 11; the quality of Brotli.
        gzip_level: 1 to 9.

    Raises:
        TypeError, ValueError: an argument is wrong; the message names it.
        ImportError: a coding that is named is not installed; the message says what to install.

    """

    codings: Union[str, Iterable[str], None] = None
    media_types: Union[str, Iterable[str]] = USUAL_MEDIA_TYPES
    minimum_size: int = 1024
    zstd_level: int = 3
    br_level: int = 4
    gzip_level: int = 4

    def __post_init__(self) -> None:
        if self.codings is None:
            object.__setattr__(self, "codings", installed_codings())
        else:
            object.__setattr__(self, "codings", _checked_codings(self.codings))
        object.__setattr__(self, "media_types", _checked_types(self.media_types))
        ranges = {f"{coding}_level": bounds for coding, bounds in LEVELS.items()}
        ranges["minimum_size"] = (0, _MINIMUM_SIZE_MAX)
        for field in fields(self):
            if field.name in ranges:
                _check_range(field.name, getattr(self, field.name), *ranges[field.name])

    def level(self, coding: str) -> int:
        """Return the level of a coding."""
        return int(getattr(self, f"{coding}_level"))

    def covers(self, content_type: str) -> bool:
        """Return whether content of a type is compressed.

        Args:
            content_type: the value of a Content-Type field.

        """
        return _is_covered(tuple(self.media_types), content_type)


@lru_cache(maxsize=256)
def _is_covered(patterns: tuple[str, ...], content_type: str) -> bool:
    name = content_type.partition(";")[0].strip().lower()
    return any(_matches(pattern, name) for pattern in patterns)


def _matches(pattern: str, name: str) -> bool:
    before, star, after = pattern.partition("*")
    if not star:
        return name == pattern
    return len(name) > len(before) + len(after) and name.startswith(before) and name.endswith(after)


def _words(given: Union[str, Iterable[str]], what: str) -> tuple[str, ...]:
    words = given.split(",") if isinstance(given, str) else tuple(given)
    for word in words:
        if not isinstance(word, str):
            message = f"{what} must be text, or a list of it, not {word!r}"
            raise TypeError(message)
    names = tuple(dict.fromkeys(word.strip().lower() for word in words))
    if not names:
        message = f"{what} must not be empty"
        raise ValueError(message)
    return names


def _checked_codings(given: Union[str, Iterable[str]]) -> tuple[str, ...]:
    codings = _words(given, "codings")
    for coding in codings:
        if coding not in EXTRAS:
            message = f"codings must be some of {', '.join(EXTRAS)}, not {coding!r}"
            raise ValueError(message)
        try:
            new_coder(coding)
        except ImportError as error:
            install = f'pip install "socketify[{EXTRAS[coding]}]"'
            message = f"the coding {coding!r} needs the package {PACKAGES[coding]}: {install}"
            raise ImportError(message) from error
    return codings


def _checked_types(given: Union[str, Iterable[str]]) -> tuple[str, ...]:
    types = _words(given, "media_types")
    for each in types:
        kind, _, name = each.partition("/")
        if not kind or not name or each.count("/") > 1 or each.count("*") > 1 or "*" in kind or ";" in each or " " in each:
            message = f"media_types must be such as 'text/html', 'text/*' or 'application/*+json', not {each!r}"
            raise ValueError(message)
    return types


def _check_range(name: str, value: object, least: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        message = f"{name} must be an int, not {value!r}"
        raise TypeError(message)
    if not least <= value <= most:
        message = f"{name} must be from {least} to {most}, not {value!r}"
        raise ValueError(message)


def as_compression(given: Union[bool, ResponseCompression, None]) -> Optional[ResponseCompression]:
    """Return what an app was given, True being the defaults; None for no compression.

    Raises:
        TypeError: it is something else.

    """
    if given is None or given is False:
        return None
    if given is True:
        return ResponseCompression()
    if not isinstance(given, ResponseCompression):
        message = f"compress_responses must be True, False or a ResponseCompression, not {given!r}"
        raise TypeError(message)
    return given
