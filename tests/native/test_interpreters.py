"""Several interpreters in one process: the first that imports the package has it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRELUDE = """
import importlib, sys, threading, urllib.request
import _interpreters_here as interpreters

IMPORTS = '''
import sys
try:
    import socketify
except ImportError as error:
    text = f"ImportError: {error}"
else:
    text = "imported"
with open(OUT, "a") as out:
    out.write(text + chr(10))
'''

def serve():
    from socketify import App
    app, ports = App(), []
    app.get("/", lambda res, req: res.end("served", end_connection=False))
    app.listen(0, lambda config: ports.append(config.port))
    @app.on_start
    def start():
        def ask():
            print(urllib.request.urlopen(f"http://127.0.0.1:{ports[0]}/", timeout=10).read().decode(), flush=True)
            app.close()
        threading.Thread(target=ask).start()
    app.run()

def elsewhere(interpreter):
    interpreters.run(interpreter, f"OUT = {OUT!r}\\n" + IMPORTS)

OUT = sys.argv[1]
"""
#: Whatever the version calls them: the module that makes interpreters which share the lock, as ctypes wants it in some.
MODULE = """
try:
    import _interpreters as module
except ImportError:
    import _xxsubinterpreters as module
def create():
    try:
        return module.create("legacy")
    except TypeError:
        return module.create(isolated=False)
def run(interpreter, code):
    failure = module.run_string(interpreter, code)
    assert failure is None, failure
destroy = module.destroy
"""
MAIN_FIRST = "serve(); i = interpreters.create(); elsewhere(i); interpreters.destroy(i); serve()"
OTHER_FIRST = """
first = interpreters.create(); elsewhere(first); elsewhere(first)
second = interpreters.create(); elsewhere(second)
interpreters.destroy(first); interpreters.destroy(second)
try:
    import socketify
except ImportError as error:
    print(error)
"""
AGAIN = """
import socketify
serve()
importlib.reload(socketify)
serve()
for name in [each for each in sys.modules if each.partition(".")[0] == "socketify"]:
    del sys.modules[name]
serve()
import os
if os.fork() == 0:
    serve()
    os._exit(0)
os.wait()
"""
REFUSAL = "socketify serves one interpreter of a process, the first that imported it"

needs_interpreters = pytest.mark.skipif(sys.version_info < (3, 12), reason="since CPython 3.12")


def run(tmp_path: Path, program: str) -> tuple[str, list[str]]:
    (tmp_path / "_interpreters_here.py").write_text(MODULE if sys.version_info >= (3, 12) else "")
    out = tmp_path / "out"
    out.touch()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(tmp_path), *sys.path))}
    command = [sys.executable, "-c", PRELUDE + program, str(out)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, out.read_text().splitlines()


@needs_interpreters
def test_another_interpreter_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    stdout, others = run(tmp_path, MAIN_FIRST)
    assert stdout == "served\n" * 2
    assert len(others) == 1
    assert REFUSAL in others[0]


@needs_interpreters
def test_the_first_has_it_even_if_it_is_not_the_main_one(tmp_path: Path) -> None:
    stdout, others = run(tmp_path, OTHER_FIRST)
    assert REFUSAL in stdout
    assert others[:2] == ["imported"] * 2
    assert REFUSAL in others[2]


def test_one_interpreter_may_import_it_again_and_fork(tmp_path: Path) -> None:
    assert run(tmp_path, AGAIN)[0] == "served\n" * 4
