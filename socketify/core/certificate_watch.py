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


#: Names that are looked at in one turn of the loop.
_NAMES_IN_TURN = 50


class CertificateWatch:
    """Looks at the TLS files of an app while it is served.

    A certificate and its key are two files, and one may be there before the other: what is wrong is reported only if it still
    is at the next look. What was read before stays in use then, and each look tries anew, as time may mend what is wrong.

    Args:
        names: whose files are looked at.
        seconds: between two looks.

    """

    def __init__(self, names: ServerNames, seconds: float) -> None:
        self._names = names
        self._seconds = seconds
        # They were read when the app was made, perhaps long before it is served.
        files = _Files()
        self._states = {name: files.state_of(options) for name, options in names.options.items()}
        #: What was reported of names whose files could not be used at the last look; empty for nothing yet.
        self._wrong: dict[str, str] = {}
        self._timer: Optional[asyncio.Handle] = None

    async def start(self) -> None:
        """Begin to look."""
        self._wait()

    async def stop(self, _seconds: float) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _wait(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._look)

    def _look(self) -> None:
        for gone in (self._states.keys() | self._wrong.keys()) - self._names.options.keys():
            self._states.pop(gone, None)
            self._wrong.pop(gone, None)
        self._look_at(list(self._names.options), _Files())

    def _look_at(self, names: list[str], files: _Files) -> None:
        """Look at the files of names, at those of the last ones later, so that other connections are served meanwhile."""
        for _ in range(min(len(names), _NAMES_IN_TURN)):
            name = names.pop()
            options = self._names.options.get(name)
            if options is not None:
                self._look_at_one(name, files.state_of(options))
        if names:
            self._timer = asyncio.get_running_loop().call_soon(self._look_at, names, files)
        else:
            self._wait()

    def _look_at_one(self, name: str, state: _State) -> None:
        # A name that was added since has what is there.
        before = self._states.get(name, state)
        self._states[name] = state
        if before != state or name in self._wrong:
            self._reload(name, is_new=before != state)

    def _reload(self, name: str, is_new: bool) -> None:
        try:
            self._names.reload_name(name)
        except (OSError, ValueError) as error:
            reported = self._wrong.setdefault(name, "")
            if not is_new and str(error) != reported:
                self._wrong[name] = str(error)
                self._names.report(error)
        else:
            self._wrong.pop(name, None)
            logger.info("the TLS files%s were read again", f" of {name}" if name else "")


class _Files:
    """The files as they are at one look: names may share some."""

    def __init__(self) -> None:
        self._found: dict[StrPath, tuple[int, ...]] = {}

    def state_of(self, options: AppOptions) -> _State:
        """Return in which state the files of options are."""
        return tuple(self._state_of_file(each) for each in options.files)

    def _state_of_file(self, path: StrPath) -> tuple[int, ...]:
        if path not in self._found:
            self._found[path] = _state_of_file(path)
        return self._found[path]


def _state_of_file(path: StrPath) -> tuple[int, ...]:
    try:
        found = Path(path).stat()
    except OSError as error:
        return (error.errno or 0,)
    # The time of the last change tells of permissions, too.
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
