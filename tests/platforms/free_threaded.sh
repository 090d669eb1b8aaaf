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

# Without a wheel for these builds, or of something that has none; what is compiled of hiredis and brotli turns the lock on.
NOT_FOR_FREE_THREADED="$NOT_FOR_ALL|uvloop|kosoku|litestar|hiredis|brotli"

# Builds Debian's CPython 3.13 of trixie without its lock, in a folder, unless it is there already; says where the interpreter is.
free_threaded_python() {
  local place=$1 base=$PWD version archive
  if [ ! -x "$place/python/bin/python3" ]; then
    mkdir -p "$place"/{lists/partial,archives/partial,build}
    archive=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | head -n 1)
    echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $archive trixie main" >"$place/sources.list"
    local apt=(-o Dir::State::Lists="$place/lists" -o Dir::Cache="$place" -o Dir::Etc::SourceList="$place/sources.list"
      -o Dir::Etc::SourceParts=/dev/null)
    apt-get "${apt[@]}" update -qq
    cd "$place"
    apt-get "${apt[@]}" source -qq --download-only python3.13
    tar xf python3.13_*.orig.tar.xz # its signature is beside it
    version=$(ls -d Python-3.13.*)
    cd build
    "../$version/configure" -q --disable-gil --disable-test-modules --prefix="$place/python"
    make -s -j"$(nproc)" && make -s install
    cd "$base"
  fi >&2
  echo "$place/python/bin/python3"
}

own_suites() { interpreter_suites; ls tests/http/test_{pools,handlers_direct}.py tests/process/test_*threads*.py; }
nearly_all() { native_suites; by_themselves; ls tests/{process,sessions,testing}/test_*.py; }

suites=own_suites
[ "${1:-}" != --most ] || { suites=nearly_all && shift; }
interpreter=${1:-$(free_threaded_python "${XDG_CACHE_HOME:-$HOME/.cache}/socketify-free-threaded")}
seconds=${2:-180}
"$interpreter" -c "import sys; assert not sys._is_gil_enabled(), 'it has the lock'"
# It has no wheel, and is compiled.
ONLY_BINARY=${ONLY_BINARY/,ujson/}
environment_of .venv-free-threaded "$interpreter" "$NOT_FOR_FREE_THREADED"
python=.venv-free-threaded/bin/python
export PYTHONPATH=$PWD

said=$("$python" -X faulthandler -m pytest -q -p no:cacheprovider \
  --deselect tests/native/test_calls.py::test_other_interpreters_get_the_same $("$suites") 2>&1) || echo "$said"
printf '%s: %s\n' "$("$python" -VV)" "$(tail -n 1 <<<"$said")"
"$python" -X faulthandler tests/stress/stress.py --threads 3 --seconds "$seconds"
