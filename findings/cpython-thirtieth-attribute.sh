#!/usr/bin/env bash
# One would guess: an object with one attribute more takes eight bytes more, and its methods are called as before.
# What is so: CPython 3.11 to 3.13 share the names of attributes among the objects of a class up to 29 of them. With the 30th each
# object has a table of its own: its attributes take 1,584 bytes instead of 296, and each call of one of its methods 30 to 50 per
# cent more time, as the interpreter does not specialize it.
# Who meets it: large classes of long-lived programs (a server's application, a widget, an ORM's session), when one more line
# goes into __init__. What helps is a default on the class for what most objects never set.
set -euo pipefail
program=$(mktemp)
trap 'rm -f "$program"' EXIT
cat >"$program" <<'PY'
import sys
import timeit


def measured(count):
    lines = "\n".join(f"        self.a{number} = 0" for number in range(count))
    space = {}
    exec(
        f"class Kept:\n    def __init__(self):\n{lines}\n    def method(self):\n        pass\n"
        "def call(kept):\n    for _ in range(100000):\n        kept.method()\n",
        space,
    )
    for _ in range(3):
        kept = space["Kept"]()
    return min(timeit.repeat(lambda: space["call"](kept), number=1, repeat=7)) * 1e4, sys.getsizeof(vars(kept))


print(sys.version.split()[0])
for count in (29, 30):
    nanoseconds, size = measured(count)
    print(f"{count} attributes: {nanoseconds:5.1f} ns for each call of a method, {size} bytes of attributes")
PY
"${PYTHON:-python3}" "$program"
