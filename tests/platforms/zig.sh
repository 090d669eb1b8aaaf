#!/usr/bin/env bash
# Runs the Zig tests, and the C++ test of the parser, as programs for other machines, under qemu's user mode: s390x has the other
# byte order. Needs qemu-user-static or qemu-user, and nothing of those machines: the programs are linked whole. Two to four
# minutes for each on two cores.
#
# Usage: tests/platforms/zig.sh [ARCHITECTURE ...]     by Zig's names (default: s390x aarch64 riscv64 powerpc64le)
set -euo pipefail
cd "$(dirname "$0")/../.."
[ $# != 0 ] || set -- s390x aarch64 riscv64 powerpc64le

# Zig looks for qemu by the names that those programs have which are not static.
emulators=$(mktemp -d)
trap 'rm -rf "$emulators"' EXIT
for each in "$@"; do
  name=qemu-${each/powerpc64le/ppc64le}
  if found=$(command -v "$name-static" || command -v "$name"); then ln -s "$found" "$emulators/$name"; else
    echo "there is no $name: install qemu-user-static" >&2
    exit 1
  fi
done
export PATH=$emulators:$PATH ZIG_DEBUG_CMD=1
for each in "$@"; do
  python3 -m ziglang build test -Doptimize=debug "-Dtarget=$each-linux-musl" -fqemu "-Dpython=$(command -v python3)"
  echo "$each: passed"
done
