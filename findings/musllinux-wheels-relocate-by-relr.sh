#!/usr/bin/env bash
# One would guess: a wheel tagged musllinux_1_2 loads with musl 1.2.0 and later; auditwheel gives the tag, and pip trusts it.
# What is so: auditwheel compares names of functions. The libgcc_s and libstdc++ that it copies from newer Alpines into wheels are
# linked with -z pack-relative-relocs (DT_RELR), which musl knows since 1.2.4: older ones skip the table without a word, call what
# the library names as its initializer, at an address that was not relocated, and the process ends with SIGSEGV when it imports.
# Who meets it: who runs on musl 1.2.0 to 1.2.3 (Alpine 3.13 to 3.17, Debian 12), with cryptography 43 and later and ujson 5.10
# and later at least; cryptography 41 loads. Zig's linker makes no such table unless it is asked to.
# Needs readelf, the packages musl-tools (1.2.3 of Debian 12) and unzip, and a package index that pip reaches.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >load.c <<'C'
#include <dlfcn.h>
#include <stdio.h>
int main(int argc, char **argv) { return argc < 2 || puts(dlopen(argv[1], RTLD_NOW) ? "loaded" : dlerror()) < 0; }
C
musl-gcc load.c -o load
printf 'musl %s\n' "$("/lib/ld-musl-$(uname -m).so.1" 2>&1 | sed -n 's/^Version //p')"
for version in 41.0.7 43.0.3; do
  python3 -m pip download -q --no-deps --only-binary :all: --platform "musllinux_1_2_$(uname -m)" \
    --platform "musllinux_1_1_$(uname -m)" --python-version 3.11 "cryptography==$version" -d "$version"
  unzip -q "$version"/*.whl -d "$version"
  library=$(ls "$version"/cryptography.libs/libgcc_s-*)
  printf '%s: %s tables of packed relocations in its libgcc_s: ' "$(basename "$version"/*.whl)" \
    "$(readelf -d "$library" | grep -c '(RELR)' || true)"
  ./load "./$library" || printf 'ended with status %s\n' $?
done
