"""The cookie by which a visitor is known again."""

from __future__ import annotations

from typing import Any, Optional

from ..wire.cookies import set_cookie_field

_SAME_SITE = ("strict", "lax", "none")


class SessionCookie:
    """How the cookie is sent.

    Args:
        name: a token.
        max_age: seconds.
        path: of the requests that get it.
        domain: of the hosts that get it; None for the host that sent it.
        secure: whether it is sent by HTTPS only.
        same_site: ``lax``, ``strict`` or ``none``.

    Raises:
        TypeError, ValueError: an argument is wrong; the message names it.

    """

    def __init__(self, name: str, max_age: int, path: str, domain: Optional[str], secure: bool, same_site: str) -> None:
        if not isinstance(max_age, int) or isinstance(max_age, bool) or max_age < 1:
            message = f"max_age must be an int of 1 or more, in seconds, not {max_age!r}"
            raise ValueError(message)
        if not isinstance(path, str) or not path.startswith("/"):
            message = f"path must begin with '/', not {path!r}"
            raise ValueError(message)
        if same_site not in _SAME_SITE:
            message = f"same_site must be one of {', '.join(_SAME_SITE)}, not {same_site!r}"
            raise ValueError(message)
        if same_site == "none" and not secure:
            message = "same_site='none' needs secure=True: browsers refuse such a cookie otherwise"
            raise ValueError(message)
        if str(name).startswith("__Host-") and not (secure and path == "/" and domain is None):
            message = (
                "a cookie that is named __Host-... needs secure=True, path='/' and no domain: browsers refuse it otherwise"
            )
            raise ValueError(message)
        if str(name).startswith("__Secure-") and not secure:
            message = "a cookie that is named __Secure-... needs secure=True: browsers refuse it otherwise"
            raise ValueError(message)
        self.name = name
        self._options: dict[str, Any] = {
            "path": path,
            "domain": domain,
            "max-age": max_age,
            "httponly": True,
            "secure": secure,
            "samesite": same_site,
        }
        self.field("")

    def field(self, value: str) -> bytes:
        """Return the value of Set-Cookie; an empty value removes the cookie."""
        options = self._options if value else {**self._options, "max-age": 0}
        return set_cookie_field(self.name, value, options).encode("latin-1")
