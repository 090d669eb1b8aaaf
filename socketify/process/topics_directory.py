"""The directory in which workers, or threads, find each other, so that they share the topics of their apps."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Optional
from urllib.parse import quote

from ..topics.brokers.local_directory import make_directory, remove_directory
from ..topics.brokers.schemes import default_broker, use_by_default

logger = logging.getLogger("socketify")


def new_topics_directory(whose: str) -> Optional[Path]:
    """Make the directory; where that is not possible, log what follows and return None.

    Args:
        whose: topics are shared: ``worker`` or ``thread``.

    """
    try:
        return make_directory()
    except OSError as error:
        logger.warning("topics reach one %s each, as there is no temporary directory: %s", whose, error.strerror)
        return None


def use_topics_directory(directory: Path) -> None:
    """Let apps of this process that name no broker share their topics with those that use the same directory."""
    use_by_default(_url(directory))


def _url(directory: Path) -> str:
    return f"local://{quote(str(directory))}"


@contextlib.contextmanager
def topics_of_threads() -> Iterator[Optional[str]]:
    """Give a broker by which apps share their topics that several threads make; None where they have one without it."""
    # In a worker they use its supervisor's.
    directory = new_topics_directory("thread") if default_broker() is None else None
    if directory is None:
        yield None
        return
    try:
        yield _url(directory)
    finally:
        remove_directory(directory)
