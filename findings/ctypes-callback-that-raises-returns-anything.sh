#!/usr/bin/env bash
# One would guess: a Python callback that C calls through ctypes, and that raises, returns 0 (or NULL, or fails in a way that C can
# see), as the exception is printed and ignored.
# What is so: nothing is written where C looks for the result (CPython 3.9.18, 3.11.7 and 3.13.0, x86-64): C gets what happens to lie
# there, mostly what the callback before it returned. A callback that returns "1 for success" can so report success when it failed,
# also when it never began: a MemoryError, or a tracing function that raises.
# Who meets it: whoever gives C callbacks whose result decides something: comparisons, "go on or stop", "taken or not"; bindings of
# native libraries, audio and video pipelines, event loops. Only a result that a stale one cannot equal tells success.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/program.py" <<'PY'
import ctypes
import sys

Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)


@Callback
def returns_seven(_number):
    return 7


@Callback
def raises(_number):
    raise ValueError("what C gets now is nobody's choice")


def as_c_calls_it(callback):
    return Callback(ctypes.cast(callback, ctypes.c_void_p).value)


first, second = as_c_calls_it(returns_seven), as_c_calls_it(raises)
sys.unraisablehook = lambda unraisable: None
results = []
for _ in range(5):
    first(0)
    results.append(second(0))
nothing, stale = results.count(0), results.count(7)
print(f"CPython {sys.version.split()[0]}: of 5 callbacks that raised, {nothing} returned 0, {stale} what another one returned")
sys.exit(nothing == len(results))
PY
found=
for version in 3.9.18 3.11.7 3.13.0; do
  python=$HOME/.pyenv/versions/$version/bin/python
  if [ -x "$python" ]; then
    "$python" "$folder/program.py"
    found=1
  fi
done
[ -n "$found" ] || python3 "$folder/program.py"
# Seen; on 3.13.0 it is 5 now and then, and never 0 that are returned:
# CPython 3.9.18: of 5 callbacks that raised, 0 returned 0, 5 what another one returned
# CPython 3.11.7: of 5 callbacks that raised, 0 returned 0, 5 what another one returned
# CPython 3.13.0: of 5 callbacks that raised, 0 returned 0, 0 what another one returned
