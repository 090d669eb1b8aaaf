"""The patterns of paths that routes have."""

from __future__ import annotations


def parameter_names(path: str) -> tuple[str, ...]:
    """Return the names of a pattern's parameters.

    Raises:
        ValueError: it does not begin with a slash, or has a wildcard before its end.

    """
    if not isinstance(path, str) or not path.startswith("/"):
        message = f"path must be a str that begins with '/', not {path!r}"
        raise ValueError(message)
    if "*" in path[:-1] and any(part.startswith("*") for part in path.split("/")[:-1]):
        message = f"path can have '*' only as its last part: {path!r}"
        raise ValueError(message)
    return tuple(part[1:] for part in path.split("/") if part.startswith(":"))
