#!/usr/bin/env bash
# Runs the suites that know most of an interpreter, and stress of several minutes, on a free-threaded CPython: one that is given, or
# one that is built of Debian's source package, which takes ten minutes on two cores and is kept. The library must be built:
# python -m ziglang build
#
# Usage: tests/platforms/free_threaded.sh [--most] [INTERPRETER [SECONDS OF STRESS]]
#
# --most: nearly all suites, those of TLS, processes, sessions and the test client, too.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/platforms/suites.sh
. tests/platforms/free_threaded_python.sh

own_suites() { interpreter_suites; ls tests/http/test_{pools,handlers_direct}.py tests/process/test_*threads*.py; }
nearly_all() { native_suites; by_themselves; ls tests/{process,sessions,testing}/test_*.py; }

suites=own_suites
[ "${1:-}" != --most ] || { suites=nearly_all && shift; }
interpreter=${1:-$(free_threaded_python "${XDG_CACHE_HOME:-$HOME/.cache}/socketify-free-threaded")}
seconds=${2:-180}
"$interpreter" -c "import sys; assert not sys._is_gil_enabled(), 'it has the lock'"
free_threaded_environment .venv-free-threaded "$interpreter"
python=.venv-free-threaded/bin/python
export PYTHONPATH=$PWD

failed=0
in_one_line "$("$python" -VV)" "$python" -X faulthandler -m pytest -q -p no:cacheprovider \
  --deselect tests/native/test_calls.py::test_other_interpreters_get_the_same $("$suites") || failed=1
"$python" -X faulthandler tests/stress/stress.py --threads 3 --seconds "$seconds" || failed=1
exit "$failed"
