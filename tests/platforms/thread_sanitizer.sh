#!/usr/bin/env bash
# Serves in threads that run at once while ThreadSanitizer looks: on a free-threaded CPython that is built with it, so that it knows
# the interpreter's locks, from Debian's source package, which takes a quarter of an hour on two cores and is kept. Needs Debian's
# clang, libclang-rt-14-dev and llvm (which names functions), and ends with 1 if there was a report, an answer was wrong, or the
# tests did not run.
#
# Usage: tests/platforms/thread_sanitizer.sh [SECONDS OF STRESS [PYTEST ARGUMENTS]]
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/platforms/suites.sh
. tests/platforms/free_threaded_python.sh

seconds=${1:-180}
shift $(($# < 1 ? $# : 1))
place=${XDG_CACHE_HOME:-$HOME/.cache}/socketify-thread-sanitizer
export CC=clang CXX=clang++ CFLAGS=-g1 TSAN_OPTIONS=report_bugs=0
interpreter=$(free_threaded_python "$place" --with-thread-sanitizer)
unset CC CXX CFLAGS
free_threaded_environment .venv-thread-sanitizer "$interpreter"
python=$PWD/.venv-thread-sanitizer/bin/python
python3 -m ziglang build -Dtsan=true "-Dpython=$(command -v python3)"
export SOCKETIFY_LIBRARY=$PWD/zig-out/lib/tsan/libsocketify.so PYTHONPATH=$PWD

reports=$(mktemp -d)
trap 'rm -rf "$reports"' EXIT
# CPython says itself which of its races are known. Workers are forked, and may start threads.
cat tests/platforms/thread_sanitizer.txt "$place"/Python-3.13.*/Tools/tsan/suppressions_free_threading.txt >"$reports/known"
export TSAN_OPTIONS="suppressions=$reports/known log_path=$reports/report exitcode=0 die_after_fork=0 history_size=4"

# Everything takes ten times as long: a test that fails for that says nothing, as what is asked here is whether there were reports.
[ $# != 0 ] || set -- tests/native/test_threads_at_once.py tests/process/test_*threads*.py tests/http/test_{pools,handlers_direct}.py
failed=0
"$python" -X faulthandler -m pytest -q -p no:cacheprovider --capture=sys "$@" || [ $? = 1 ] || failed=1
# Clients run without it, by the interpreter of this script.
python3 tests/stress/stress.py --server "$python" --threads 2 --seconds "$seconds" || failed=1

if grep -h -s '^SUMMARY' "$reports"/report.* | sort | uniq -c; then
  cat "$reports"/report.*
  exit 1
fi
echo "ThreadSanitizer saw no race"
exit "$failed"
