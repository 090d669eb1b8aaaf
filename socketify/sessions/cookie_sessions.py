"""Sessions in a signed cookie: the visitor keeps them, can read them, and cannot change them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from typing import Any, Optional, Union

from .content import dump, load
from .cookie import SessionCookie
from .user_session import UserSession

Secret = Union[str, bytes]
_SECRET_MIN = 32
_FIELD_BYTES_MAX = 4096


class SessionTooLargeError(ValueError):
    """A session does not fit into a cookie, of which browsers take 4096 bytes."""


class CookieSessions:
    """Reads and writes cookies that hold a session.

    Args:
        cookie: how it is sent.
        secrets: the first one signs, all are accepted.
        max_age: seconds after which a cookie is not accepted any more.

    Raises:
        ImportError: itsdangerous is not installed.
        ValueError: a secret is too short.

    """

    def __init__(self, cookie: SessionCookie, secrets: Sequence[Secret], max_age: int) -> None:
        try:
            from itsdangerous import BadData, URLSafeTimedSerializer  # noqa: PLC0415 - an extra
        except ImportError as error:
            message = 'sessions in a cookie need the package itsdangerous: pip install "socketify[sessions]"'
            raise ImportError(message, name="itsdangerous") from error
        for each in secrets or ("",):
            if not isinstance(each, (str, bytes)) or len(each) < _SECRET_MIN:
                message = (
                    f"a secret has {_SECRET_MIN} characters or more: python -c 'import secrets; print(secrets.token_hex())'"
                )
                raise ValueError(message)
        self._cookie = cookie
        self._max_age = max_age
        self._refused = BadData
        # Another cookie's content does not pass for this one's; the last key signs.
        self._signer = URLSafeTimedSerializer(
            [each.encode() if isinstance(each, str) else each for each in reversed(secrets)],
            salt=f"socketify.sessions.{cookie.name}",
            signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
        )

    def read(self, value: Optional[str]) -> tuple[UserSession, str, float]:
        """Return the session of a cookie, its content as text, and when it was signed; a new one for none or a wrong one."""
        if value is None:
            return UserSession({}, is_new=True), "", 0.0
        try:
            content, signed_at = self._signer.loads(value, max_age=self._max_age, return_timestamp=True)
        except self._refused:
            return UserSession({}, is_new=True), "", 0.0
        return UserSession(load(content), is_new=False), content, signed_at.timestamp()

    def write(self, session: UserSession, content: str, signed_at: float, has_cookie: bool, renewal: float) -> Optional[bytes]:
        """Return the value of Set-Cookie; None where the client's cookie is right.

        Raises:
            SessionTooLargeError: it does not fit.
            TypeError, ValueError: JSON cannot hold a value.

        """
        values: dict[str, Any] = session.values_()
        if not values:
            return self._cookie.field("") if has_cookie else None
        text = dump(values)
        is_old = session.accessed and time.time() - signed_at > renewal
        if text == content and not session.is_regenerated and not is_old:
            return None
        signed = self._signer.dumps(text)
        field = self._cookie.field(signed if isinstance(signed, str) else signed.decode())
        if len(field) > _FIELD_BYTES_MAX:
            message = (
                f"the session needs a cookie of {len(field)} bytes, and {_FIELD_BYTES_MAX} is the most: keep it in a store"
            )
            raise SessionTooLargeError(message)
        return field
