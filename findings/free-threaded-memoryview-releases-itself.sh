#!/usr/bin/env bash
# One would guess: threads may cut slices out of one memoryview, as nobody changes it.
# What is so: free-threaded CPython 3.13 counts the views of a buffer without a lock or an atomic. Threads that cut at once lose
# counts, in about a million slices, and the view is released under all of them: from then on it raises ValueError, in every thread
# and for ever.
# Who meets it: whoever keeps a memoryview of shared memory, a mapped file or a large buffer, for several threads. What helps: each
# thread makes a view of its own of the object itself.
# Builds the CPython 3.13.5 of Debian 13 without its lock, unless PYTHON names one. Needs two processors that are free.
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/platforms/suites.sh
. tests/platforms/free_threaded_python.sh
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python=${PYTHON:-$(free_threaded_python "$folder")} program=$folder/program.py
cat >"$program" <<'PY'
import sys
import threading

words = memoryview(bytearray(64))
together = threading.Barrier(4)
raised = set()


def cut():
    together.wait()
    try:
        for _ in range(1_000_000):
            words[8:16]
    except ValueError as error:
        raised.add(str(error))


threads = [threading.Thread(target=cut) for _ in range(4)]
for each in threads:
    each.start()
for each in threads:
    each.join()
print(sys.version)
print("raised:", *(raised or ["nothing"]))
PY
# It takes as much luck as a race does.
for _ in {1..20}; do
  found=$("$python" "$program")
  [ "${found##*raised: }" = nothing ] || break
done
echo "$found"
[[ "$found" = *"free-threading build"*"raised: operation forbidden on released memoryview object" ]]
