"""What who installs is told when a wheel cannot be built, and where the engine's headers come from.

Stand-ins for the compiler and for pip save minutes; docs/platforms.md says what was built with the real ones.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("hatchling")

ROOT = Path(__file__).resolve().parents[1]
FETCH = ROOT / "zig" / "build" / "fetch_engine.py"
SPEC = importlib.util.spec_from_file_location("fetch_engine", FETCH)
assert SPEC is not None
assert SPEC.loader is not None
fetch_engine: Any = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(fetch_engine)

FAILS = "import sys; print('error: the compiler says this', file=sys.stderr); sys.exit(3)"
FAILS_FOR_A_REASON = """
import os, pathlib, sys
pathlib.Path(os.environ["SOCKETIFY_BUILD_REASON"]).write_text("it rains\\n")
print("error: much more than this", file=sys.stderr)
sys.exit(1)
"""


def stand_in(folder: Path, name: str, program: str) -> Path:
    """Make a package that takes the place of another one for who runs ``python -m`` it; return its folder."""
    package = folder / "stand-ins" / name
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(program)
    return package.parent


def said_by_a_build(tmp_path: Path, compiler: str, **environment: str) -> list[str]:
    """Build a wheel with a stand-in for the compiler, which fails; return the lines on standard error."""
    place = stand_in(tmp_path, "ziglang", compiler)
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path / "wheels")]
    environment = {**os.environ, "PYTHONPATH": str(place), **environment}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()


def test_the_compiler_fails(tmp_path: Path) -> None:
    lines = said_by_a_build(tmp_path, FAILS, SOCKETIFY_TARGET="x86_64-linux-gnu.2.17")
    assert "error: the compiler says this" in lines
    assert lines[-1].startswith("socketify cannot be built: zig build ended with status 3, and says why above")


def test_the_reason_is_the_last_line(tmp_path: Path) -> None:
    lines = said_by_a_build(tmp_path, FAILS_FOR_A_REASON, SOCKETIFY_TARGET="x86_64-linux-gnu.2.17")
    assert lines[-1] == "socketify cannot be built: it rains"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SOCKETIFY_TARGET", "x86-linux-gnu.2.17", "x86-linux-gnu.2.17: no wheel tag is known for this target"),
        ("SOCKETIFY_UWEBSOCKETS", "/nowhere", "SOCKETIFY_UWEBSOCKETS is /nowhere, which has no src/App.h"),
    ],
)
def test_variables_that_name_nothing(tmp_path: Path, name: str, value: str, said: str) -> None:
    environment = {"SOCKETIFY_TARGET": "x86_64-linux-gnu.2.17", name: value}
    lines = said_by_a_build(tmp_path, FAILS, **environment)
    assert lines[-1] == f"socketify cannot be built: {said}"


def test_there_is_no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    hook: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hook)
    monkeypatch.setattr(hook, "has_compiler", lambda: False)
    monkeypatch.setenv("SOCKETIFY_TARGET", "x86_64-linux-gnu.2.17")
    builder = hook.ZigBuildHook(str(ROOT), {}, None, None, str(tmp_path), "wheel")
    with pytest.raises(SystemExit, match=r"has no module ziglang: pip install ziglang==\d"):
        builder.initialize("standard", {})


def fetched(tmp_path: Path, pip: str, **environment: str) -> tuple[int, str, str]:
    """Run the program that fetches the engine with a stand-in for pip; return its status, the reason and all that it said."""
    place, reason = stand_in(tmp_path, "pip", pip), tmp_path / "reason"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("UV_", "PIP_"))}
    environment = {**kept, "PYTHONPATH": str(place), "ZIG_GLOBAL_CACHE_DIR": str(tmp_path / "cache"), **environment}
    environment["SOCKETIFY_BUILD_REASON"] = str(reason)
    done = subprocess.run(
        [sys.executable, FETCH, str(tmp_path / "engine")], env=environment, capture_output=True, text=True, check=False
    )
    return done.returncode, reason.read_text() if reason.exists() else "", done.stderr


NO_NETWORK = """
import os, sys
if "download" in sys.argv:
    print("index:", os.environ.get("PIP_INDEX_URL"))
    print("ERROR: No matching distribution found for socketify")
    sys.exit(1)
"""
ANOTHER_ARCHIVE = """
import sys
if "download" in sys.argv:
    print("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.")
    sys.exit(1)
"""


def test_no_index_has_the_engine(tmp_path: Path) -> None:
    status, reason, said = fetched(tmp_path, NO_NETWORK)
    assert status == 1
    assert reason.count("\n") == 1
    assert "from the package index (No matching distribution found for socketify): name an index" in reason
    assert "SOCKETIFY_UWEBSOCKETS" in reason
    assert "index: None" in said


def test_the_index_that_uv_was_told(tmp_path: Path) -> None:
    assert (
        "index: https://index.example/simple"
        in fetched(tmp_path, NO_NETWORK, UV_DEFAULT_INDEX="https://index.example/simple")[2]
    )
    named = {"UV_DEFAULT_INDEX": "ours=https://index.example/simple?a=b"}
    assert "index: https://index.example/simple?a=b\n" in fetched(tmp_path, NO_NETWORK, **named)[2]
    unnamed = {"UV_DEFAULT_INDEX": "https://index.example/simple?a=b"}
    assert "index: https://index.example/simple?a=b\n" in fetched(tmp_path, NO_NETWORK, **unnamed)[2]
    both = {"UV_INDEX_URL": "https://other.example", "PIP_INDEX_URL": "https://index.example"}
    assert "index: https://index.example\n" in fetched(tmp_path, NO_NETWORK, **both)[2]


def test_the_index_has_another_archive(tmp_path: Path) -> None:
    status, reason, _ = fetched(tmp_path, ANOTHER_ARCHIVE)
    assert status == 1
    assert "is another archive than the one that is wanted" in reason


def test_there_is_no_pip(tmp_path: Path) -> None:
    status, reason, _ = fetched(tmp_path, "import sys; sys.exit(1)", PATH="/nowhere")
    assert status == 1
    assert "has no pip (python -m ensurepip)" in reason


def archive_of(header: bytes) -> bytes:
    """Return an archive of the engine with one header."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        member = tarfile.TarInfo(fetch_engine.ENGINE_ROOT + "src/App.h")
        member.size = len(header)
        tar.addfile(member, io.BytesIO(header))
    return archive.getvalue()


@pytest.fixture
def downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What pip downloads, which is the archive that is wanted."""
    archive = tmp_path / "downloaded.tar.gz"
    archive.write_bytes(archive_of(b"header"))
    monkeypatch.setattr(fetch_engine, "SHA256", hashlib.sha256(archive.read_bytes()).hexdigest())
    monkeypatch.setenv("ZIG_GLOBAL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("SOCKETIFY_BUILD_REASON", raising=False)
    monkeypatch.setattr(fetch_engine, "download", lambda directory: archive)
    return archive


@pytest.mark.usefixtures("downloaded")
def test_what_was_checked_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others may write to a cache that users share, also while it is read."""
    assert fetch_engine.main([str(tmp_path / "first")]) == 0
    kept, opens, another = fetch_engine.kept_archive(), tarfile.open, archive_of(b"another")

    def opens_after_another_one_wrote(*arguments: Any, **named: Any) -> tarfile.TarFile:
        kept.write_bytes(another)
        return opens(*arguments, **named)

    monkeypatch.setattr(tarfile, "open", opens_after_another_one_wrote)
    assert fetch_engine.main([str(tmp_path / "second")]) == 0
    assert (tmp_path / "second" / "src" / "App.h").read_text() == "header"
    assert list(kept.parent.iterdir()) == [kept]


def test_the_archive_is_kept_for_builds_without_a_network(
    downloaded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fetch_engine.main([str(tmp_path / "first")]) == 0

    def no_network(directory: Path) -> Path:
        raise fetch_engine.FetchError("no network")

    monkeypatch.setattr(fetch_engine, "download", no_network)
    assert fetch_engine.main([str(tmp_path / "second")]) == 0
    assert (tmp_path / "second" / "src" / "App.h").read_text() == "header"
    # What is not whole any more is downloaded again.
    kept = fetch_engine.kept_archive()
    kept.write_bytes(kept.read_bytes()[:-1])
    assert fetch_engine.main([str(tmp_path / "third")]) == 1
    # Without any place for it, all goes on.
    for name in ("ZIG_GLOBAL_CACHE_DIR", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    assert fetch_engine.kept_archive() is None
    monkeypatch.setattr(fetch_engine, "download", lambda directory: downloaded)
    assert fetch_engine.main([str(tmp_path / "fourth")]) == 0
