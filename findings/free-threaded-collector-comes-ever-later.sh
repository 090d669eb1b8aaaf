#!/usr/bin/env bash
# One would guess: the collector of reference cycles runs whenever so many objects were made (gc.get_threshold()), so that a program
# which makes a cycle for each request needs as much memory after a day as after a minute.
# What is so: in free-threaded CPython 3.13 what a collection frees is subtracted from what was made since, which makes that negative
# (gc.get_count()): the next one waits longer, frees more, and so on. Memory grows, though nothing is lost: gc.collect() finds it all.
# Who meets it: long-running programs whose requests make cycles: closures that name themselves, exceptions that are kept with their
# frames, an environ that holds itself. What helps: gc.collect() from time to time, in any thread.
# PYTHON is a free-threaded one (tests/platforms/free_threaded_python.sh).
set -euo pipefail
program=$(mktemp)
trap 'rm -f "$program"' EXIT
cat >"$program" <<'PY'
import gc
import sys

print(sys.version)
for made in range(1, 3_200_001):
    cycle = []
    cycle.append(cycle)
    if made % 800_000 == 0:
        count, waiting = gc.get_count()[0], len(gc.get_objects())
        collections = sum(each["collections"] for each in gc.get_stats())
        print(f"{made} cycles: {collections} collections, {waiting} objects are there, the count is {count}")
gc.collect()
print(f"after gc.collect(): {len(gc.get_objects())} objects are there")
PY
"${PYTHON:-python3}" "$program"
