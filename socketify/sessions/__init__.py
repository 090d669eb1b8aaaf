"""Sessions: what an application remembers of a visitor between requests, in a signed cookie or on the server.

>>> from socketify import App, MiddlewareRouter
>>> from socketify.sessions import MemoryStore, Sessions
>>> app = App()
>>> routes = MiddlewareRouter(app, Sessions(store=MemoryStore()))
>>> _ = routes.get("/", lambda res, req: res.end(req.session.get("name", "nobody")))
"""

from .cookie_sessions import SessionTooLargeError
from .memory_store import MemoryStore
from .redis_store import RedisStore
from .sessions import Sessions
from .store import SessionStore
from .user_session import UserSession

__all__ = ["MemoryStore", "RedisStore", "SessionStore", "SessionTooLargeError", "Sessions", "UserSession"]
