"""Files under a prefix."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any, Optional, Union
from urllib.parse import quote, unquote_to_bytes

from .conditional import accepted_encodings
from .request import Request
from .response import Response
from .sendfile import OpenFile, content_type_of, open_file, send_opened

_FORBIDDEN = frozenset(b"\x00\\")


class StaticFiles:
    """A handler that serves the files of a directory.

    Nothing outside of it is served: not by ``..``, by percent-encoding, or by a symbolic link that leaves it. Names that
    begin with a dot are not served, ``.well-known`` excepted.

    Args:
        prefix: of the URL, without the final slash.
        directory: must exist.
        index: name of the file that is served for a directory, or None.
        precompressed: whether ``name.br`` or ``name.gz`` is sent to clients that accept it.
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

    def __call__(self, res: Response, req: Request) -> Any:
        """Answer GET or HEAD."""
        segments = segments_of(req.get_url()[len(self._prefix) :])
        if segments is None:
            return res.send("Not Found", status=404)
        return self._serve(res, req, segments)

    async def _serve(self, res: Response, req: Request, segments: list[str]) -> Response:
        req.preserve()
        encodings = accepted_encodings(req.get_header("accept-encoding")) if self._precompressed else None
        found = await asyncio.get_running_loop().run_in_executor(None, self._find, segments, encodings)
        if found is None:
            return res.send("Not Found", status=404)
        path, opened = found
        if opened is None:
            # Relative links of an index only work below its directory.
            return res.redirect(quote(req.get_url(), safe="/%") + "/", 301)
        try:
            return await send_opened(res, req, req.get_method(), opened, content_type_of(path), self._cache_control)
        finally:
            opened.file.close()

    def _find(self, segments: list[str], encodings: Optional[set[str]]) -> Optional[tuple[str, Optional[OpenFile]]]:
        """Give the real path and the open file; no file for a directory whose URL lacks the final slash."""
        wants_directory = not segments or not segments[-1]
        path = os.path.realpath(Path(self._root, *segments))
        if path != self._root and not path.startswith(self._root.rstrip("/") + "/"):
            return None
        if Path(path).is_dir():
            if self._index is None:
                return None
            path = os.path.realpath(Path(path, self._index))
            if not path.startswith(self._root.rstrip("/") + "/") or not Path(path).is_file():
                return None
            if not wants_directory:
                return path, None
        elif wants_directory:
            return None
        opened = open_file(path, encodings)
        return (path, opened) if opened is not None else None


def segments_of(url_path: str) -> Optional[list[str]]:
    """Give the decoded segments of a URL's path, or None where a file may not be named so.

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
