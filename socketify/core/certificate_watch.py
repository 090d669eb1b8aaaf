"""Reading TLS files again when they have changed."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Optional

from .options import AppOptions, StrPath
from .server_names import ServerNames

logger = logging.getLogger("socketify")

#: What tells one state of a file from another: also a link that leads elsewhere, as where secrets are mounted.
_State = tuple[tuple[int, ...], ...]


class CertificateWatch:
    """Looks at the TLS files of an app while it is served.

    A certificate and its key are two files, and one may be there before the other: what is wrong is reported only if it still
    is at the next look. What was read before stays in use then.

    Args:
        names: whose files are looked at.
        seconds: between two looks.

    """

    def __init__(self, names: ServerNames, seconds: float) -> None:
        self._names = names
        self._seconds = seconds
        # They were read when the app was made, perhaps long before it is served.
        self._states = {name: _state_of(options) for name, options in names.options.items()}
        #: Names whose files could not be used at the last look.
        self._wrong: set[str] = set()
        self._timer: Optional[asyncio.TimerHandle] = None

    async def start(self) -> None:
        """Begin to look."""
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._look)

    async def stop(self, _seconds: float) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._look)
        for name, options in list(self._names.options.items()):
            state = _state_of(options)
            # A name that was added since has what is there.
            before = self._states.get(name, state)
            self._states[name] = state
            if before != state or name in self._wrong:
                self._reload(name, is_second_try=before == state)

    def _reload(self, name: str, is_second_try: bool) -> None:
        try:
            self._names.reload_name(name)
        except (OSError, ValueError) as error:
            if is_second_try:
                self._wrong.discard(name)
                self._names.report(error)
            else:
                self._wrong.add(name)
        else:
            self._wrong.discard(name)
            logger.info("the TLS files%s were read again", f" of {name}" if name else "")


def _state_of(options: AppOptions) -> _State:
    return tuple(_state_of_file(each) for each in options.files)


def _state_of_file(path: StrPath) -> tuple[int, ...]:
    try:
        found = Path(path).stat()
    except OSError as error:
        return (error.errno or 0,)
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
