#!/usr/bin/env bash
# Runs the suites that know most of an interpreter on each of those given, or on all that pyenv and the system have, and says of
# each in one line what passed, failed and was skipped. The library must be built: python -m ziglang build
#
# Usage: tests/platforms/interpreters.sh [INTERPRETER ...]
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/platforms/suites.sh

if [ $# = 0 ]; then
  for each in ~/.pyenv/versions/3.{9,1?}*/bin/python "$(command -v pypy3 || true)"; do
    [ -z "$each" ] || [ ! -x "$each" ] || set -- "$@" "$each"
  done
fi
failed=0
for interpreter in "$@"; do
  name=$("$interpreter" -c "import sys; print(sys.implementation.name, '.'.join(map(str, sys.version_info[:3])), sep='-')")
  leave_out=$NOT_FOR_ALL
  [ "${name%%-*}" = cpython ] || leave_out=$NOT_FOR_PYPY
  environment_of ".venv-$name" "$interpreter" "$leave_out"
  in_one_line "$name" ".venv-$name/bin/python" -m pytest -q -p no:cacheprovider \
    --deselect tests/native/test_calls.py::test_other_interpreters_get_the_same $(interpreter_suites) || failed=1
done
exit "$failed"
