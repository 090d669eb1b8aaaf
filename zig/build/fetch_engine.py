"""Get the headers of the pinned engine (uWebSockets) from the Python package index, through pip.

The engine's headers travel complete in one source distribution. This program lets pip find and download that archive by
name, so that mirrors, proxies and certificates work as the user configured them for pip; checks its SHA-256; and unpacks
the headers and the licence, nothing else. `zig build` runs it once and keeps the result in the cache of the source tree; the
archive stays in Zig's cache of the user, where the next source tree finds it, without a network too.

No code of the archive runs. pip insists on asking a source distribution for its metadata before it saves it, which would
run the archive's setup script and install what that needs (a compiler, in the worst case). The answer comes from a build
backend of our own instead, put in front of the real one for the time of the call.

Usage: python fetch_engine.py OUTPUT_DIRECTORY

SOCKETIFY_BUILD_REASON names a file to which it writes in one line why it failed, for who shows no more than that.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

PACKAGE = "socketify"
VERSION = "0.0.28"
SHA256 = "2346c2f65c90edc5dd90ce04309507dc7b87117b5d10ff5894919f4c632b244e"
ENGINE_ROOT = f"{PACKAGE}-{VERSION}/src/socketify/uWebSockets/"

# The archive's build backend is setuptools: this stands in for it and answers the only question that pip asks.
STAND_IN_BACKEND = f'''
import os

def get_requires_for_build_wheel(config_settings=None):
    return []

def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    name = "{PACKAGE}-{VERSION}.dist-info"
    directory = os.path.join(metadata_directory, name)
    os.makedirs(directory)
    with open(os.path.join(directory, "METADATA"), "w", encoding="utf-8") as file:
        file.write("Metadata-Version: 2.1\\nName: {PACKAGE}\\nVersion: {VERSION}\\n")
    return name
'''

# For one line.
REMEDY = "name an index that has it in PIP_INDEX_URL, or a folder with the headers in SOCKETIFY_UWEBSOCKETS (docs/platforms.md)"


class FetchError(Exception):
    """The archive could not be obtained, or is not the pinned one: in one line, and what else there is to say of it."""

    def __init__(self, reason: str, details: str = "") -> None:
        super().__init__(reason)
        self.details = details


def is_wanted(path: str) -> bool:
    """Return whether a file, by its path below the engine's root, belongs to what the build uses."""
    if path in ("LICENSE", "uSockets/src/libusockets.h"):
        return True
    folder, _, name = path.rpartition("/")
    return folder == "src" and name.endswith(".h")


def pythons_with_pip() -> Iterator[str]:
    """Yield interpreters that can run pip: this one first, then those on PATH."""
    candidates = [sys.executable, shutil.which("python3"), shutil.which("python")]
    seen: set[str] = set()
    for candidate in candidates:
        if not candidate or candidate in seen:
            continue
        seen.add(candidate)
        if subprocess.run([candidate, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0:
            yield candidate


def download(directory: Path) -> Path:
    """Let pip download the archive into a directory and return its path.

    Raises FetchError when there is no pip, or when pip fails (its own words are the details).
    """
    python = next(pythons_with_pip(), None)
    if python is None:
        raise FetchError(f"{sys.executable} has no pip (python -m ensurepip), and neither has any python3 or python on PATH")
    backend = directory / "backend" / "setuptools"
    backend.mkdir(parents=True)
    (backend / "__init__.py").touch()
    (backend / "build_meta.py").write_text(STAND_IN_BACKEND, encoding="utf-8")
    requirements = directory / "requirements.txt"
    requirements.write_text(f"{PACKAGE}=={VERSION} --hash=sha256:{SHA256}\n", encoding="utf-8")
    downloads = directory / "downloads"
    environment = dict(os.environ)
    search_path = [str(backend.parent), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(part for part in search_path if part)
    # Where uv builds, the index that it was told is the one that can be reached: there its URL may have a name in front.
    index = environment.get("UV_DEFAULT_INDEX") or environment.get("UV_INDEX_URL")
    if index:
        name, _, url = index.partition("=")
        environment.setdefault("PIP_INDEX_URL", url if url and ":" not in name else index)
    # These settings are about what gets installed; here nothing is, and constraints without hashes would be refused.
    for name in ("PIP_REQUIRE_VIRTUALENV", "PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT"):
        environment.pop(name, None)
    command = [python, "-m", "pip", "download", "--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    command += ["--no-deps", "--no-binary", PACKAGE, "--no-build-isolation", "--require-hashes"]
    command += ["--dest", str(downloads), "--requirement", str(requirements)]
    result = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if result.returncode != 0:
        raise FetchError(*reason_of(result.stdout.strip()))
    archives = sorted(downloads.iterdir())
    if len(archives) != 1:
        raise FetchError(f"pip was expected to leave one archive, but left {[archive.name for archive in archives]}")
    return archives[0]


def reason_of(said: str) -> tuple[str, str]:
    """Return why pip failed, in one line, and all that it said."""
    if "DO NOT MATCH THE HASHES" in said:
        return f"what the package index has as {PACKAGE} {VERSION} is another archive than the one that is wanted", said
    errors = [line.strip() for line in said.splitlines() if line.lstrip().startswith("ERROR:")]
    last = errors[-1].partition(":")[2].strip() if errors else "pip failed"
    return f"pip could not download {PACKAGE} {VERSION} from the package index ({last})", said


def kept_archive() -> Path | None:
    """Return where the archive is kept for other builds, beside what Zig keeps; None where the environment names no place."""
    name = f"{SHA256}.tar.gz"
    if os.environ.get("ZIG_GLOBAL_CACHE_DIR"):
        return Path(os.environ["ZIG_GLOBAL_CACHE_DIR"], "engine", name)
    if os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"], "zig", "engine", name)
    return Path(os.environ["HOME"], ".cache", "zig", "engine", name) if os.environ.get("HOME") else None


def obtain(directory: Path) -> bytes:
    """Return the archive that was kept, or download it, check it, and keep it.

    What was checked is what is used: others may write to the cache meanwhile. Raises FetchError as download and check do.
    """
    kept = kept_archive()
    # A cache that cannot be read or written keeps nothing.
    with contextlib.suppress(OSError):
        if kept is not None and digest_of(content := kept.read_bytes()) == SHA256:
            return content
    archive = download(directory)
    content = archive.read_bytes()
    check(content, archive.name)
    if kept is not None:
        with contextlib.suppress(OSError):
            kept.parent.mkdir(parents=True, exist_ok=True)
            # Others that look there at the same time find all of it or nothing.
            with tempfile.TemporaryDirectory(prefix="partial-", dir=kept.parent) as partial:
                Path(partial, kept.name).write_bytes(content)
                Path(partial, kept.name).replace(kept)
    return content


def digest_of(archive: bytes) -> str:
    """Return the SHA-256 of an archive."""
    return hashlib.sha256(archive).hexdigest()


def check(archive: bytes, name: str) -> None:
    """Raise FetchError unless the archive is the pinned one."""
    digest = digest_of(archive)
    if digest != SHA256:
        raise FetchError(f"{name} has SHA-256 {digest}")


def unpack(archive: bytes, output: Path) -> None:
    """Write the wanted files of the archive below the output directory."""
    count = 0
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        for member in tar:
            if not member.isfile() or not member.name.startswith(ENGINE_ROOT):
                continue
            path = member.name[len(ENGINE_ROOT) :]
            content = tar.extractfile(member) if is_wanted(path) else None
            if content is None:
                continue
            target = output / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.read())
            count += 1
    if not count:
        raise FetchError(f"the archive holds nothing below {ENGINE_ROOT}")


def main(arguments: list[str]) -> int:
    """Fetch into the directory named by the only argument; return the exit status."""
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        with tempfile.TemporaryDirectory(prefix="socketify-engine-") as temporary:
            unpack(obtain(Path(temporary)), Path(arguments[0]))
    except (FetchError, OSError, tarfile.TarError) as error:
        reason = f"Could not get the engine's headers: {error}"
        if named := os.environ.get("SOCKETIFY_BUILD_REASON"):
            Path(named).write_text(f"{reason}: {REMEDY}\n", encoding="utf-8")
        if isinstance(error, FetchError) and error.details:
            print(f"pip said:\n{error.details}\n", file=sys.stderr)
        print(
            f"{reason}\n\n"
            f"Wanted: the source distribution of {PACKAGE} {VERSION} from the Python package index\n"
            f"        SHA-256 {SHA256}\n"
            "Without a network: download and unpack that archive elsewhere, and hand its folder src/socketify/uWebSockets\n"
            "to the build with -Duwebsockets=DIR (DIR holds src/App.h and uSockets/src/libusockets.h), or, for pip, in the\n"
            "environment variable SOCKETIFY_UWEBSOCKETS.",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
