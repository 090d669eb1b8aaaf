"""The session of one request."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any


class UserSession(MutableMapping[str, Any]):
    """What is remembered of a visitor: names and values that JSON can hold. What is changed is kept when the answer is sent.

    Args:
        values: what was kept.
        is_new: whether nothing was.

    """

    def __init__(self, values: dict[str, Any], is_new: bool) -> None:
        self._values = values
        #: Whether the request had no session, or one that is over, was changed by somebody else, or is not known.
        self.is_new = is_new
        #: Whether the application has looked at it, so that its answer is this visitor's alone.
        self.accessed = False
        #: Whether it gets another id.
        self.is_regenerated = False

    def __getitem__(self, name: str) -> Any:
        self.accessed = True
        return self._values[name]

    def __setitem__(self, name: str, value: Any) -> None:
        if not isinstance(name, str):
            message = f"names of a session must be str, not {name!r}"
            raise TypeError(message)
        self.accessed = True
        self._values[name] = value

    def __delitem__(self, name: str) -> None:
        self.accessed = True
        del self._values[name]

    def __iter__(self) -> Iterator[str]:
        self.accessed = True
        return iter(self._values)

    def __len__(self) -> int:
        self.accessed = True
        return len(self._values)

    def regenerate(self) -> None:
        """Give it another id, of which nobody can know: when somebody logs in, or gets more rights. The content stays."""
        self.accessed = True
        self.is_regenerated = True

    async def save(self) -> None:
        """Keep it now, where it is kept on the server: before an answer that is written in pieces. Others wait by themselves.

        Raises:
            Exception: what the store raises.

        """
        self.accessed = True

    def values_(self) -> dict[str, Any]:
        """Return the content, for what keeps it."""
        return self._values
