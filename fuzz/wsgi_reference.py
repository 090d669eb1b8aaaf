"""The environ of a request as PEP 3333, RFC 3875 and docs/wsgi.md say it: slow and obvious, from the bytes of its head."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

#: Addresses and ports: REMOTE_ADDR, REMOTE_PORT, SERVER_NAME, SERVER_PORT.
Ends = tuple[str, str, str, str]
UNIX: Ends = ("", "", "localhost", "80")


def environ_of(head: bytes, ends: Ends = UNIX, root_path: str = "") -> dict[str, object]:
    """Give the keys of an environ whose values are str or bool."""
    request_line, *lines = head.decode("latin-1").split("\r\n")[:-2]
    method, target, version = request_line.split(" ")
    origin, below = "", target
    if target.lower().startswith(("http://", "https://")):
        begin = target.index("://") + 3
        end = min([len(target), *(at for at in (target.find("/", begin), target.find("?", begin)) if at >= 0)])
        origin, below = target[begin:end], target[end:]
        below = below if below.startswith("/") else "/" + below
    path, _, query = below.partition("?")
    path = unquote_to_bytes(path.encode("latin-1")).decode("latin-1")
    if root_path and (path == root_path or path.startswith(root_path + "/")):
        path = path[len(root_path) :]
    elif not path.startswith("/"):
        path = ""
    environ: dict[str, object] = {
        "SCRIPT_NAME": root_path,
        "SERVER_SOFTWARE": "socketify",
        "wsgi.url_scheme": "http",
        "wsgi.input_terminated": True,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "REQUEST_METHOD": method,
        "REQUEST_URI": target,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_PROTOCOL": version,
        **dict(zip(("REMOTE_ADDR", "REMOTE_PORT", "SERVER_NAME", "SERVER_PORT"), ends)),
    }
    for line in lines:
        name, _, value = line.partition(":")
        name, value = name.lower(), value.strip(" \t")
        if "_" in name or name == "proxy":
            continue
        if name == "host" and origin:
            value = origin
        key = name.upper().replace("-", "_")
        key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_" + key
        joint = "; " if name == "cookie" else ","
        environ[key] = f"{environ[key]}{joint}{value}" if key in environ else value
    return environ
