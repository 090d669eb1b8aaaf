#!/usr/bin/env bash
# One would guess: the collector of reference cycles runs whenever so many objects were made (gc.get_threshold()), so that a program
# which makes a cycle for each request needs as much memory after a day as after a minute.
# What is so: in free-threaded CPython 3.13 the count of what was made since the last collection is far below zero after it
# (gc.get_count()): the next one comes later, finds more, and so on. Of 3,200,000 cycles the first quarter led to 30 collections and
# the last one to 7; memory grows, though nothing is lost: gc.collect() finds it all.
# Who meets it: long-running programs whose requests make cycles: closures that name themselves, exceptions that are kept with their
# frames, an environ that holds itself. What helps: gc.collect() from time to time, in the thread that makes them.
# Builds the CPython 3.13.5 of Debian 13 without its lock, unless PYTHON names one.
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/platforms/suites.sh
. tests/platforms/free_threaded_python.sh
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python=${PYTHON:-$(free_threaded_python "$folder")} program=$folder/program.py
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
found=$("$python" "$program")
echo "$found"
[ "$(grep -c 'the count is -' <<<"$found")" = 4 ]
