"""Adapters that let ``res.render`` use a template engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Union


class Jinja2Template:
    """Templates of the jinja2 package. Values are escaped for HTML unless ``autoescape`` says otherwise.

    Args:
        directory: where templates are.
        options: for ``jinja2.Environment``.

    Raises:
        ImportError: jinja2 is not installed.
        FileNotFoundError: there is no such directory.

    """

    def __init__(self, directory: Union[str, Path], **options: Any) -> None:
        from jinja2 import Environment, FileSystemLoader  # noqa: PLC0415 - it is optional

        options.setdefault("autoescape", True)
        #: The environment, for filters and globals.
        self.environment: Any = Environment(loader=FileSystemLoader(_existing(directory)), **options)

    def render(self, name: str, /, **kwargs: Any) -> str:
        """Render a template with values."""
        return str(self.environment.get_template(name).render(**kwargs))


class MakoTemplate:
    """Templates of the mako package. Values are escaped for HTML unless ``default_filters`` says otherwise.

    Args:
        directory: where templates are.
        options: for ``mako.lookup.TemplateLookup``.

    Raises:
        ImportError: mako is not installed.
        FileNotFoundError: there is no such directory.

    """

    def __init__(self, directory: Union[str, Path], **options: Any) -> None:
        from mako.lookup import TemplateLookup  # noqa: PLC0415 - it is optional

        options.setdefault("default_filters", ["h"])
        #: The lookup, which knows the templates.
        self.lookup: Any = TemplateLookup(directories=[_existing(directory)], **options)

    def render(self, name: str, /, **kwargs: Any) -> str:
        """Render a template with values."""
        return str(self.lookup.get_template(name).render_unicode(**kwargs))


def _existing(directory: Union[str, Path]) -> str:
    path = Path(directory)
    if not path.is_dir():
        message = f"directory of templates: no such directory: {str(directory)!r}"
        raise FileNotFoundError(message)
    return str(path)
