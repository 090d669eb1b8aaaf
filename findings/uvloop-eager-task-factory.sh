#!/usr/bin/env bash
# One would guess: asyncio.eager_task_factory (CPython 3.12 and later) works with every event loop, since it is the standard
# library's own, and uvloop 0.23.0 lists 3.13 among its interpreters.
# What is so: uvloop 0.23.0 on CPython 3.13 hands the keyword eager_start to the task factory, always; the factory of 3.13.0 takes
# no keyword but name and context, so every create_task is a TypeError, and so is run()'s own clean-up, whose coroutine is never
# awaited. asyncio's loop on the same interpreter, and uvloop on 3.12, are fine.
# Who meets it: a program that sets the eager factory to save a turn of the loop, when its image moves from 3.12 to 3.13: every
# coroutine handler of its server raises, whichever server it is.
set -euo pipefail
python=${PYTHON313:-$(ls -d "$HOME"/.pyenv/versions/3.13.0/bin/python 2>/dev/null || true)}
if [ -z "$python" ] || [ "$("$python" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])')" != 3.13.0 ]; then
  echo "needs CPython 3.13.0: set PYTHON313" >&2
  exit 1
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q uvloop==0.23.0
cat >"$folder/program.py" <<'PY'
import asyncio
import uvloop


async def child():
    return "a task"


async def main():
    loop = asyncio.get_running_loop()
    loop.set_task_factory(asyncio.eager_task_factory)
    coroutine = child()
    try:
        found = await loop.create_task(coroutine)
    except TypeError as error:
        coroutine.close()
        found = f"TypeError: {error}"
    loop.set_task_factory(None)
    return found


print("asyncio:", asyncio.run(main()))
print("uvloop:", uvloop.run(main()))
PY
found=$("$folder/venv/bin/python" "$folder/program.py")
echo "$found"
expected="asyncio: a task
uvloop: TypeError: create_eager_task_factory.<locals>.factory() got an unexpected keyword argument 'eager_start'"
[ "$found" = "$expected" ]
