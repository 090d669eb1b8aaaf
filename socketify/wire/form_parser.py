"""The module ``multipart`` of the package of that name, though python-multipart may hide it."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType

_NAME = "PushMultipartParser"


def load_parser() -> ModuleType:
    """Import the parser of multipart forms.

    python-multipart before 0.0.13 brings a folder ``multipart``, which is found before the module ``multipart.py``. The folder
    stays in sys.modules, as other code may use it.

    Raises:
        ImportError: the package is not installed, or too old; the message says what hides it.

    """
    found = importlib.import_module("multipart")
    if hasattr(found, _NAME):
        return found
    for file in _files():
        spec = importlib.util.spec_from_file_location("socketify._multipart", file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        if hasattr(module, _NAME):
            return module
    where = getattr(found, "__file__", None)
    message = (
        f"socketify needs the package multipart, of 1.2 or later, and {where} is none: "
        "pip install 'multipart>=1.2' 'python-multipart>=0.0.13'"
    )
    raise ImportError(message)


def _files() -> list[Path]:
    """Return the module's file where the package is installed."""
    from importlib import metadata  # noqa: PLC0415 - a tenth of what importing socketify takes, and rarely needed

    try:
        file = Path(str(metadata.distribution("multipart").locate_file("multipart.py")))
    except metadata.PackageNotFoundError:
        return []
    return [file] if file.is_file() else []
