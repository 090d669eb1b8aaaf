"""The middleware that gives requests their sessions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional, Union

from ..http.request import Request
from ..http.response import Response
from .cookie import SessionCookie
from .cookie_sessions import CookieSessions, Secret
from .store import SessionStore
from .stored_sessions import StoredSession, StoredSessions, is_id
from .user_session import UserSession

_FORTNIGHT = 14 * 24 * 3600
#: The part of its life after which a session that is used gets a new one.
_RENEWAL = 10
_OF_STORES = ("load", "save", "delete")


class Sessions:
    """A middleware that gives ``req.session``, the visitor's :class:`UserSession`, which is kept when the answer is sent.

    It is in a cookie that is signed with a secret, where the visitor can read it, or in a store, whose id the cookie holds. A
    cookie that was changed, is too old, or is not known, is an empty session. What it holds must be JSON.

    Args:
        secret: signs cookies: 32 characters or more; of several the first one signs, and all are accepted, so that it can be
            replaced.
        store: keeps sessions on the server: :class:`MemoryStore`, :class:`RedisStore`, or another :class:`SessionStore`.
        max_age: seconds without a visit after which a session is over; each tenth of that it is renewed.
        cookie: its name.
        path: of the requests that get the cookie.
        domain: of the hosts that get it, with those below; None for the one that sent it alone.
        secure: whether it is sent by HTTPS only; browsers take ``http://localhost`` for that.
        same_site: ``lax``: not with what other sites' pages send, but for links; ``strict``; or ``none``.

    Raises:
        TypeError: both a secret and a store are given, or none; or one of them is none.
        ValueError: an argument is wrong; the message names it.
        ImportError: itsdangerous is not installed, which signs cookies.

    """

    def __init__(
        self,
        secret: Union[Secret, Sequence[Secret], None] = None,
        *,
        store: Optional[SessionStore] = None,
        max_age: int = _FORTNIGHT,
        cookie: str = "session",
        path: str = "/",
        domain: Optional[str] = None,
        secure: bool = True,
        same_site: str = "lax",
    ) -> None:
        if (secret is None) == (store is None):
            message = "Sessions needs a secret, for sessions in a cookie, or a store: one of both"
            raise TypeError(message)
        if store is not None and (
            isinstance(store, type) or not all(callable(getattr(store, each, None)) for each in _OF_STORES)
        ):
            message = f"store must be an object with the coroutines {', '.join(_OF_STORES)}, as MemoryStore() is, not {store!r}"
            raise TypeError(message)
        if secret is not None and not isinstance(secret, (str, bytes, list, tuple)):
            message = f"secret must be str or bytes, or a list of them, not {type(secret).__name__}"
            raise TypeError(message)
        self._name = cookie
        self._renewal = max_age / _RENEWAL if isinstance(max_age, int) else 0.0
        how = SessionCookie(cookie, max_age, path, domain, secure, same_site)
        self._stored = StoredSessions(how, store, max_age) if store is not None else None
        self._signed: Optional[CookieSessions] = None
        if secret is not None:
            secrets = [secret] if isinstance(secret, (str, bytes)) else list(secret)
            self._signed = CookieSessions(how, secrets, max_age)

    def __call__(self, res: Response, req: Request, data: Any = None) -> Any:
        """Give a request its session, and pass on what the middleware before passed on, or True."""
        value = req.get_cookie(self._name)
        if self._stored is None:
            self._begin_signed(res, req, value)
        elif is_id(value):
            return self._load(self._stored, res, req, value, data)
        else:
            self._begin_stored(self._stored, self._stored.new(), res, req, value)
        return data or True

    def of(self, req: Request) -> UserSession:
        """Return ``req.session``, as type checkers can follow it.

        Raises:
            RuntimeError: this middleware does not stand before the handler.

        """
        session = getattr(req, "session", None)
        if not isinstance(session, UserSession):
            message = "the request has no session: Sessions must be among the middlewares of its route"
            raise RuntimeError(message)
        return session

    async def _load(self, stored: StoredSessions, res: Response, req: Request, value: Any, data: Any) -> Any:
        self._begin_stored(stored, await stored.read(value), res, req, value)
        return data or True

    def _begin_signed(self, res: Response, req: Request, value: Optional[str]) -> None:
        signed = self._signed
        assert signed is not None
        session, content, signed_at = signed.read(value)

        def added(written: list[bytes]) -> list[bytes]:
            field = signed.write(session, content, signed_at, value is not None, self._renewal)
            return _fields(session, field, written)

        setattr(req, "session", session)  # noqa: B010 - requests have no such attribute of their own
        res.exchange_.before_sending(added)

    def _begin_stored(
        self, stored: StoredSessions, session: StoredSession, res: Response, req: Request, value: Optional[str]
    ) -> None:

        def added(written: list[bytes]) -> list[bytes]:
            return _fields(session, stored.write(session, value, self._renewal, res), written)

        setattr(req, "session", session)  # noqa: B010
        res.exchange_.before_sending(added)


def _fields(session: UserSession, cookie: Optional[bytes], written: list[bytes]) -> list[bytes]:
    """Return the fields of an answer that are about the session."""
    added = [] if cookie is None else [b"Set-Cookie", cookie]
    if session.accessed or cookie is not None:
        varies = b",".join(value for name, value in zip(written[::2], written[1::2]) if name.lower() == b"vary")
        if not {b"cookie", b"*"} & {each.strip().lower() for each in varies.split(b",")}:
            added += (b"Vary", b"Cookie")
    return added
