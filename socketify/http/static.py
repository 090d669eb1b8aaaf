"""Files under a prefix."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any, Optional, Union
from urllib.parse import quote, unquote_to_bytes

from ..system.descriptors import real_path
from .files import OpenFile, accepted_variants, content_type_of, is_inside, open_file, open_regular, send_opened, variant_of
from .request import Request
from .response import Response

_FORBIDDEN = frozenset(b"\x00\\")
#: How many files of a directory are remembered with their places.
_KNOWN_MAX = 4096


class StaticFiles:
    """A handler that serves the files of a directory.

    Nothing outside of it is served, whether by ``..``, percent-encoding, or a symbolic link that leaves it. Names that
    begin with a dot are not served, ``.well-known`` excepted.

    Args:
        prefix: of the URL, without the final slash.
        directory: must exist.
        index: name of the file that is served for a directory, or None.
        precompressed: whether ``name.br``, ``name.zst`` or ``name.gz`` is sent to clients that accept it.
        cache_control: value of Cache-Control, or None for none.

    Raises:
        FileNotFoundError: there is no such directory.

    """

    def __init__(
        self,
        prefix: str,
        directory: Union[str, os.PathLike[str]],
        *,
        index: Optional[str] = None,
        precompressed: bool = True,
        cache_control: Optional[str] = None,
    ) -> None:
        if not Path(directory).is_dir():
            message = f"directory of static files: no such directory: {os.fspath(directory)!r}"
            raise FileNotFoundError(message)
        self._prefix = prefix.rstrip("/")
        self._root = os.path.realpath(directory)
        self._index = index
        self._precompressed = precompressed
        self._cache_control = cache_control
        # Maps the URL's path to the name, its real path (which was found to be inside the root), and the media type.
        self._known: dict[str, tuple[str, str, str]] = {}

    def __call__(self, res: Response, req: Request) -> Any:
        """Answer GET or HEAD."""
        url_path = req.get_url()[len(self._prefix) :]
        known = self._known.get(url_path)
        if known is not None:
            encodings = accepted_variants(req) if self._precompressed else None
            opened = self._open_known(known, encodings)
            if opened is not None:
                return send_opened(res, req, req.get_method(), opened, known[2], self._cache_control)
            self._known.pop(url_path, None)
        segments = segments_of(url_path)
        if segments is None:
            return res.send("Not Found", status=404)
        return self._serve(res, req, url_path, segments)

    async def _serve(self, res: Response, req: Request, url_path: str, segments: list[str]) -> Response:
        req.preserve()
        encodings = accepted_variants(req) if self._precompressed else None
        found = await asyncio.get_running_loop().run_in_executor(None, self._find, segments, encodings)
        if found is None:
            return res.send("Not Found", status=404)
        name, path, opened = found
        if opened is None:
            # Relative links of an index only work below its directory.
            return res.redirect(quote(req.get_url(), safe="/%") + "/", 301)
        content_type = content_type_of(path)
        if len(self._known) >= _KNOWN_MAX:
            self._known.clear()
        self._known[url_path] = name, path, content_type
        sending = send_opened(res, req, req.get_method(), opened, content_type, self._cache_control)
        return sending if isinstance(sending, Response) else await sending

    def _open_known(self, known: tuple[str, str, str], encodings: Optional[set[str]]) -> Optional[OpenFile]:
        """Open a name that was found inside the root before; return None if it now leads to another file.

        The kernel says which file is open, so that a link cannot be changed between the check and the use.
        """
        name, path, _ = known
        opened = open_regular(name)
        if opened is None:
            return None
        # Where the system does not say which file it is, every name is looked up again.
        if real_path(opened.descriptor) != path:
            os.close(opened.descriptor)
            return None
        return opened if encodings is None else variant_of(opened, path, encodings, self._root)

    def _find(self, segments: list[str], encodings: Optional[set[str]]) -> Optional[tuple[str, str, Optional[OpenFile]]]:
        """Return the name, its real path and the open file; no file for a directory whose URL lacks the final slash."""
        wants_directory = not segments or not segments[-1]
        name = str(Path(self._root, *segments))
        path = os.path.realpath(name)
        if path != self._root and not is_inside(path, self._root):
            return None
        if Path(path).is_dir():
            if self._index is None:
                return None
            name = str(Path(name, self._index))
            path = os.path.realpath(Path(path, self._index))
            if not is_inside(path, self._root) or not Path(path).is_file():
                return None
            if not wants_directory:
                return name, path, None
        elif wants_directory:
            return None
        opened = open_file(path, encodings, self._root)
        return (name, path, opened) if opened is not None else None


def segments_of(url_path: str) -> Optional[list[str]]:
    """Return the decoded segments of a URL's path, or None where no file may have such a name.

    Args:
        url_path: what follows the prefix, percent-encoded; the last segment is empty where it ends with a slash.

    """
    raw = unquote_to_bytes(url_path.encode("latin-1", "replace"))
    if _FORBIDDEN & set(raw):
        return None
    segments = os.fsdecode(raw).split("/")
    if segments[0] == "":
        del segments[0]
    for segment in segments[:-1]:
        if not segment or (segment.startswith(".") and segment != ".well-known"):
            return None
    if segments and segments[-1].startswith("."):
        return None
    return segments
