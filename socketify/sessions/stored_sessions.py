"""Sessions on the server: the visitor keeps an id that nobody can guess."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import secrets
import time
from collections.abc import Coroutine
from typing import Any, Optional

from ..http.response import Response
from .content import dump, load
from .cookie import SessionCookie
from .store import SessionStore
from .user_session import UserSession

_ID = re.compile(r"[A-Za-z0-9_-]{43}")
_ID_BYTES = 32


def new_id() -> str:
    """Return an id that nobody can guess."""
    return secrets.token_urlsafe(_ID_BYTES)


def is_id(value: Optional[str]) -> bool:
    """Return whether a cookie may be an id."""
    return value is not None and _ID.fullmatch(value) is not None


def _key(session_id: str) -> str:
    return hashlib.sha256(session_id.encode()).hexdigest()


class StoredSession(UserSession):
    """A session in a store.

    Args:
        sessions: where it belongs.
        session_id: its id; empty for none.
        text: its content; empty for none.
        saved_at: when it was saved.

    """

    def __init__(self, sessions: StoredSessions, session_id: str, text: str, saved_at: float) -> None:
        super().__init__(load(text) if text else {}, is_new=not text)
        self._sessions = sessions
        self.id_ = session_id if text else ""
        #: Under which it is in the store; empty for none.
        self.kept_id_ = self.id_
        self.text_ = text
        self.saved_at_ = saved_at

    async def save(self) -> None:
        """Keep it now; see :meth:`UserSession.save`.

        Raises:
            Exception: what the store raises.

        """
        await super().save()
        if not self._values or self.is_regenerated:
            await self._sessions.forget(self)
        if self._values:
            await self._sessions.keep(self)


class StoredSessions:
    """Reads and writes the sessions of a store.

    Args:
        cookie: how the id is sent.
        store: keeps them.
        max_age: seconds without a request after which they are forgotten.

    """

    def __init__(self, cookie: SessionCookie, store: SessionStore, max_age: int) -> None:
        self._cookie = cookie
        self._store = store
        self._max_age = max_age
        # What is being saved, by key: a request that comes meanwhile waits for it.
        self._saving: dict[str, asyncio.Future[Any]] = {}

    def new(self) -> StoredSession:
        """Return an empty session."""
        return StoredSession(self, "", "", 0.0)

    async def read(self, session_id: str) -> StoredSession:
        """Return the session of an id; a new one, of another id, where there is none."""
        key = _key(session_id)
        saving = self._saving.get(key)
        if saving is not None and saving.get_loop() is asyncio.get_running_loop():
            await asyncio.wait({saving})
        content = await self._store.load(key)
        try:
            saved_at, text = json.loads(content) if content else (0.0, "")
        except ValueError:
            saved_at, text = 0.0, ""
        return StoredSession(self, session_id, text, saved_at)

    async def keep(self, session: StoredSession) -> None:
        """Save a session, unless another request ended it meanwhile: what is logged out stays so."""
        text = dump(session.values_())
        session.id_ = session.id_ or new_id()
        key = _key(session.id_)
        if session.id_ == session.kept_id_ and await self._store.load(key) is None:
            return
        session.text_, session.saved_at_ = text, time.time()
        session.is_regenerated = False
        content = json.dumps([session.saved_at_, text], ensure_ascii=False).encode()
        await self._store.save(key, content, self._max_age)
        session.kept_id_ = session.id_

    async def forget(self, session: StoredSession) -> None:
        """Delete what was saved of a session; it has no id then."""
        former, session.id_ = session.id_, ""
        session.text_ = session.kept_id_ = ""
        if former:
            await self._store.delete(_key(former))

    def write(self, session: StoredSession, cookie: Optional[str], renewal: float, res: Response) -> Optional[bytes]:
        """Begin to save a session; return the value of Set-Cookie, None where the client's cookie is right.

        Raises:
            TypeError, ValueError: JSON cannot hold a value.

        """
        text = dump(session.values_()) if session.values_() else ""
        is_old = session.accessed and time.time() - session.saved_at_ > renewal
        if not text:
            if session.id_:
                self._begin(_key(session.id_), self.forget(session), res)
            return self._cookie.field("") if cookie is not None else None
        if text != session.text_ or session.is_regenerated or is_old:
            former = session.id_ if session.is_regenerated else ""
            if former or not session.id_:
                session.id_ = new_id()
            self._begin(_key(session.id_), self._replace(session, former), res)
        return self._cookie.field(session.id_) if is_old or session.id_ != cookie else None

    async def _replace(self, session: StoredSession, former: str) -> None:
        await self.keep(session)
        if former:
            await self._store.delete(_key(former))

    def _begin(self, key: str, coroutine: Coroutine[Any, Any, None], res: Response) -> None:
        """Save at once; the answer waits for that, and so do further requests of the same visitor."""

        async def save() -> None:
            saved: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._saving[key] = saved
            try:
                await coroutine
            except BaseException:
                # The client keeps the id that it has: nobody knows the one that it was to get.
                res.exchange_.head.withdraw(b"Set-Cookie", self._cookie.name.encode() + b"=")
                raise
            finally:
                if self._saving.get(key) is saved:
                    del self._saving[key]
                saved.set_result(None)

        res.exchange_.hold(res, save())
