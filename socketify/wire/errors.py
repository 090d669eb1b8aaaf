"""Errors that are answered with a status of their own."""

from __future__ import annotations

from http import HTTPStatus
from typing import Optional


class HTTPError(Exception):
    """An error that is answered with its status, unless the app's error handler answers otherwise.

    Args:
        status_code: 400 to 599 (RFC 9110 section 15).
        message: text of the answer, which the client may see; None for the standard reason phrase.

    Raises:
        TypeError: the message is no str.
        ValueError: the status is not that of an error.

    """

    def __init__(self, status_code: int, message: Optional[str] = None) -> None:
        if not isinstance(status_code, int) or not 400 <= status_code <= 599:
            text = f"status_code of an error must be 400 to 599, not {status_code!r}"
            raise ValueError(text)
        if message is None:
            known = status_code in HTTPStatus._value2member_map_
            message = HTTPStatus(status_code).phrase if known else str(status_code)
        elif not isinstance(message, str):
            text = f"message of an error must be str, not {message!r}: res.send(..., status={status_code}) sends anything"
            raise TypeError(text)
        super().__init__(message)
        #: The status of the answer.
        self.status_code = status_code
        #: The text of the answer.
        self.message = message


class BadRequestError(HTTPError, ValueError):
    """The client's data cannot be understood, which is answered with 400."""

    def __init__(self, message: str) -> None:
        super().__init__(HTTPStatus.BAD_REQUEST, message)
