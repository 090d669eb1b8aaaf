"""What can be had of an ssl.SSLContext for an app's own TLS."""

from __future__ import annotations

import atexit
import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

if TYPE_CHECKING:
    import ssl


def settings_of_context(context: ssl.SSLContext, crl_file_name: Any) -> dict[str, Any]:
    """Return keyword arguments of :class:`AppOptions`; see :meth:`AppOptions.from_context`.

    Args:
        context: the settings' source.
        crl_file_name: given beside it; None for none.

    """
    import ssl  # noqa: PLC0415 - who has a context has it, and apps without TLS do not need it

    if not isinstance(context, ssl.SSLContext):
        message = f"context must be an ssl.SSLContext, not {type(context).__name__}"
        raise TypeError(message)
    if getattr(context, "sni_callback", None) is not None:
        message = "context: its sni_callback is not called; App.add_server_name and App.missing_server_name do the same"
        raise ValueError(message)
    minimum, maximum = _versions(context)
    found: dict[str, Any] = {
        "minimum_version": minimum,
        "maximum_version": maximum,
        "ssl_ciphers": ":".join(each["name"] for each in context.get_ciphers()),
    }
    if context.verify_mode == ssl.CERT_NONE:
        return found
    if context.verify_flags & (ssl.VERIFY_CRL_CHECK_LEAF | ssl.VERIFY_CRL_CHECK_CHAIN) and crl_file_name is None:
        message = "context: it checks for revoked certificates, and the lists cannot be read from it: crl_file_name is needed"
        raise ValueError(message)
    authorities = context.get_ca_certs(binary_form=True)
    if not authorities:
        message = "context: it verifies the certificates of clients, and has no CA loaded that signs them"
        raise ValueError(message)
    found["client_certificate"] = "optional" if context.verify_mode == ssl.CERT_OPTIONAL else "required"
    found["ca_file_name"] = _kept("".join(ssl.DER_cert_to_PEM_cert(each) for each in authorities))
    return found


def _versions(context: ssl.SSLContext) -> tuple[Optional[str], Optional[str]]:
    import ssl  # noqa: PLC0415 - see above

    names = {ssl.TLSVersion.TLSv1_2: "1.2", ssl.TLSVersion.TLSv1_3: "1.3"}
    forbidden = {name for name, flag in (("1.2", ssl.OP_NO_TLSv1_2), ("1.3", ssl.OP_NO_TLSv1_3)) if context.options & flag}
    served = {
        name
        for version, name in names.items()
        if name not in forbidden
        and (context.minimum_version == ssl.TLSVersion.MINIMUM_SUPPORTED or version >= context.minimum_version)
        and (context.maximum_version == ssl.TLSVersion.MAXIMUM_SUPPORTED or version <= context.maximum_version)
    }
    if not served:
        message = "context: it has neither TLS 1.2 nor TLS 1.3"
        raise ValueError(message)
    return min(served), (None if "1.3" in served else "1.2")


def _kept(text: str) -> str:
    """Return the path of a file that lives as long as the process and its workers, and has no name where that is possible."""
    try:
        descriptor = os.memfd_create("socketify-authorities")
    except (AttributeError, OSError):
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    with open(descriptor, "wb", closefd=False) as file:
        file.write(text.encode())
    path = Path(f"/dev/fd/{descriptor}")
    with contextlib.suppress(OSError):
        if path.read_bytes():
            return str(path)
    # On macOS this path is the descriptor itself, and so at its end, or wherever another reader has left it.
    os.close(descriptor)
    descriptor, name = tempfile.mkstemp(prefix="socketify-authorities-")
    os.close(descriptor)
    path = Path(name)
    path.write_text(text, encoding="ascii")
    # Workers may become another user.
    path.chmod(0o644)
    atexit.register(_remove, path, os.getpid())
    return name


def _remove(path: Path, process: int) -> None:
    """Remove a file in the process that made it: its children use it until they end."""
    if os.getpid() == process:
        with contextlib.suppress(OSError):
            path.unlink()
