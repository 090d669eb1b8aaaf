#!/usr/bin/env bash
# One would guess: from loop.add_signal_handler on, a signal is the loop's: one that comes before the loop runs is answered as soon as
# it does, as asyncio's own loop does it.
# What is so: uvloop 0.23.0 listens to signals only while it runs; one that came between add_signal_handler and run_forever (or
# run_until_complete) calls nobody, and is gone. Later ones are answered.
# Who meets it: programs that take SIGTERM first and then start up (open pools, listen, fork): an orchestrator that stops them in that
# moment waits for its whole grace period and kills them; tests that start and stop servers quickly hang now and then.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q uvloop==0.23.0
cat >"$folder/program.py" <<'PY'
import asyncio
import os
import signal
import sys

import uvloop


def signals_answered(loop):
    answered = []
    loop.add_signal_handler(signal.SIGTERM, answered.append, "SIGTERM")
    os.kill(os.getpid(), signal.SIGTERM)
    counts = []
    for _ in range(2):
        loop.call_later(0.5, loop.stop)
        loop.run_forever()
        counts.append(len(answered))
        # The second one comes while it runs.
        loop.call_soon(os.kill, os.getpid(), signal.SIGTERM)
    loop.remove_signal_handler(signal.SIGTERM)
    loop.close()
    return counts


seen = {name: signals_answered(make()) for name, make in (("asyncio", asyncio.new_event_loop), ("uvloop", uvloop.new_event_loop))}
print("answered before the loop ran, and then with one more:", seen)
sys.exit(seen != {"asyncio": [1, 2], "uvloop": [0, 1]})
PY
"$folder/venv/bin/python" "$folder/program.py"
# Seen with CPython 3.11.7:
# answered before the loop ran, and then with one more: {'asyncio': [1, 2], 'uvloop': [0, 1]}
