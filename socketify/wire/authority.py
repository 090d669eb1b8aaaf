"""What a client asks for: host and port."""

from __future__ import annotations

import re
from typing import Optional


def split_authority(authority: str) -> tuple[str, Optional[int]]:
    """Return host, without the brackets of an address, and port of an authority (RFC 3986 section 3.2); None for no port."""
    host, colon, port = authority.rpartition(":")
    if not colon or port.endswith("]"):
        host, port = authority, ""
    return host.strip("[]"), int(port) if re.fullmatch("[0-9]{1,5}", port) else None
