#!/usr/bin/env bash
# Runs suites on the interpreters of a suite of Debian (trixie, sid, ...), with the wheel that is built here for this machine's
# processor and installed there. The root is made by debootstrap, once: $SOCKETIFY_ROOTS/SUITE (default ~/.cache/socketify-roots).
# Says of each interpreter in one line what passed, failed and was skipped, after why. Needs root: it mounts, which ends with it.
#
# Usage: [SOCKETIFY_WHEEL=WHEEL_THAT_IS_BUILT] tests/platforms/debian.sh [--most] SUITE [INTERPRETER ...]
#
# INTERPRETER: a package, such as python3.15 or pypy3 (default: all that the suite has). --most: nearly all suites, not only
# those that know most of an interpreter.
set -euo pipefail
[ -n "${SOCKETIFY_UNSHARED:-}" ] || SOCKETIFY_UNSHARED=1 exec unshare --mount "$0" "$@"
cd "$(dirname "$0")/../.."
. tests/platforms/suites.sh

suites=interpreter_suites
[ "${1:-}" != --most ] || { suites=most_suites && shift; }
suite=${1:?"which suite of Debian?"}
shift
root=${SOCKETIFY_ROOTS:-$HOME/.cache/socketify-roots}/$suite place=/srv/socketify
in_root() { PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive chroot "$root" "$@"; }

if [ ! -e "$root/usr/bin/apt-get" ]; then
  mkdir -p "$root"
  # What a mirror has of sid may be older than its lists allow.
  debootstrap --variant=minbase --include=ca-certificates "$suite" "$root" >"$root.log" || { tail "$root.log" && exit 1; }
  # Servers shall not be started when they are installed: the tests start their own.
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
  chmod +x "$root/usr/sbin/policy-rc.d"
fi
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
cp /etc/resolv.conf /etc/hosts "$root/etc/"
if [ -n "${PIP_CERT:-}" ]; then
  mkdir -p "$root$(dirname "$PIP_CERT")"
  cp "$PIP_CERT" "$root$PIP_CERT"
fi
in_root apt-get -o Acquire::Check-Valid-Until=false update -qq
[ $# != 0 ] || set -- $(in_root apt-cache pkgnames | grep -xE 'python3\.[0-9]+|pypy3' | sort -V)
in_root apt-get install -y -qq --no-install-recommends binutils curl openssl procps redis-server nats-server nghttp2-client \
  apache2-utils iproute2 $(printf '%s %s-venv ' $(printf '%s\n' "$@" | sed p)) >/dev/null

# The tests see the package that is installed, not that of the source tree, of whose files one test asks.
wheels=$(mktemp -d)
trap 'rm -rf "$wheels"' EXIT
[ -n "${SOCKETIFY_WHEEL:-}" ] || python3 tools/wheels.py --target "$(uname -m)-linux-gnu.2.17" --output "$wheels"
rm -rf "$root$place"
tree_without_package "$root$place"
cp "${SOCKETIFY_WHEEL:-$(ls "$wheels"/*.whl)}" "$root$place"

failed=0
for interpreter in "$@"; do
  name=$(in_root "$interpreter" -c "import platform as p; print(p.python_implementation(), p.python_version())")
  case $name in
    PyPy*) leave_out=$NOT_FOR_PYPY_OF_DEBIAN ;;
    *) leave_out=$NOT_FOR_ALL ;;
  esac
  test_requirements "$leave_out" >"$root$place/requirements.txt"
  # The last ones that are not compiled: what is compiled for PyPy needs functions that trixie's does not have.
  [[ $name != PyPy* ]] || echo 'hypothesis<6.140' >>"$root$place/requirements.txt"
  in_root bash -ec "cd $place && rm -rf .venv && $interpreter -m venv .venv && .venv/bin/python -m pip install -q --prefer-binary \
    --only-binary $ONLY_BINARY -r requirements.txt ./*.whl"
  in_one_line "$name, Debian $suite $(uname -m)" in_root bash -c "cd $place && exec .venv/bin/python -m pytest -q -p no:cacheprovider \
    --deselect tests/native/test_calls.py::test_other_interpreters_get_the_same \
    --deselect tests/native/test_abi.py::test_abi_is_what_the_headers_say $("$suites" | tr '\n' ' ')" || failed=1
done
exit "$failed"
