"""Where the command's own messages go: standard error, or where a file says."""

from __future__ import annotations

import importlib
import json
import logging
import logging.config
from pathlib import Path
from typing import Any, Callable, Optional

from ..system.standard_streams import complain, is_writable
from .loading import LoadError

logger = logging.getLogger("socketify")


class _ErrorHandler(logging.StreamHandler):  # type: ignore[type-arg] # generic from 3.11 on only
    """Writes records to standard error that need not wait for a reader, and counts the others."""

    _lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        if not is_writable(self.stream):
            self._lost += 1
            return
        if self._lost:
            lost, self._lost = self._lost, 0
            complain(f"socketify: {lost} messages were lost, as nobody read them")
        super().emit(record)


def configure_logging(level: str, config: Optional[str]) -> None:
    """Configure logging.

    Args:
        level: of the server's own logger, unless the file says another one.
        config: a file for :func:`logging.config.dictConfig`. Without one the server's logger writes to standard error, and the
            application's logging is its own; with one it does so, too, unless the file says where its messages go.

    Raises:
        LoadError: the file cannot be read, or is no such configuration.

    """
    logger.setLevel(level.upper())
    if config is not None:
        _apply(config, _read(Path(config)))
        if logger.handlers or (logger.propagate and logging.getLogger().handlers):
            return
    if not logger.handlers:
        handler = _ErrorHandler()
        handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
        logger.addHandler(handler)
        logger.propagate = False


def _apply(name: str, config: Any) -> None:
    if not isinstance(config, dict):
        message = f"--log-config {name}: must be a mapping, as logging.config.dictConfig takes it"
        raise LoadError(message)
    # Otherwise loggers that the file does not name would be silenced, the server's own among them.
    config = {"version": 1, "disable_existing_loggers": False, **config}
    try:
        logging.config.dictConfig(config)
    except (ValueError, TypeError, AttributeError, ImportError) as error:
        reason = f"{error}: {error.__cause__}" if error.__cause__ is not None else str(error)
        message = f"--log-config {name}: {reason}"
        raise LoadError(message) from error


def _read(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        message = f"--log-config {str(path)!r}: {error}"
        raise LoadError(message) from error
    parsers: dict[str, Callable[[str], Any]] = {".json": json.loads, ".yaml": _yaml, ".yml": _yaml, ".toml": _toml}
    parse = parsers.get(path.suffix.lower())
    if parse is None:
        message = f"--log-config {str(path)!r}: must end with .json, .yaml, .yml or .toml"
        raise LoadError(message)
    try:
        return parse(text)
    except LoadError:
        raise
    except Exception as error:
        message = f"--log-config {str(path)!r}: {error}"
        raise LoadError(message) from error


def _yaml(text: str) -> Any:
    try:
        yaml = importlib.import_module("yaml")
    except ImportError as error:
        message = "--log-config: a YAML file needs the package PyYAML: pip install PyYAML"
        raise LoadError(message) from error
    return yaml.safe_load(text)


def _toml(text: str) -> Any:
    for name in ("tomllib", "tomli"):
        try:
            return importlib.import_module(name).loads(text)
        except ImportError:
            continue
    message = "--log-config: a TOML file needs Python 3.11, or the package tomli"
    raise LoadError(message)
