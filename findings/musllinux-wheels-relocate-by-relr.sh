#!/usr/bin/env bash
# One would guess: a wheel tagged musllinux_1_2 loads with musl 1.2.0 and later; auditwheel gives the tag, and pip trusts it.
# What is so: auditwheel compares names of functions. The libgcc_s that it copies from newer Alpines into wheels is linked with
# -z pack-relative-relocs (DT_RELR), which musl knows since 1.2.4: older ones skip the table without a word, and an import of
# cryptography ended with SIGSEGV there (seen by hand with CPython 3.13 on musl 1.2.3; nothing is loaded here).
# Who meets it: who runs on musl 1.2.0 to 1.2.3 (Alpine 3.13 to 3.17, Debian 12), with cryptography 43 and later and ujson 5.10
# and later at least; cryptography 41 loads. Zig's linker makes no such table unless it is asked to.
# Needs readelf, unzip, musl-dev (1.2.3 of Debian 12) and a package index that pip reaches.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
found=$(
  echo "lines about it in the elf.h of $(dpkg-query -W -f '${Package} ${Version}' musl-dev): $(
    grep -c DT_RELR /usr/include/x86_64-linux-musl/elf.h || true
  )"
  for version in 41.0.7 43.0.3; do
    python3 -m pip download -q --no-deps --only-binary :all: --platform musllinux_1_2_x86_64 --platform musllinux_1_1_x86_64 \
      --python-version 3.11 "cryptography==$version" -d "$version"
    unzip -q "$version"/*.whl -d "$version"
    echo "$(basename "$version"/*.whl): $(readelf -d "$version"/cryptography.libs/libgcc_s-* | grep -c '(RELR)' || true)"
  done
)
echo "$found"
[ "$found" = "lines about it in the elf.h of musl-dev 1.2.3-1: 0
cryptography-41.0.7-cp37-abi3-musllinux_1_1_x86_64.whl: 0
cryptography-43.0.3-cp39-abi3-musllinux_1_2_x86_64.whl: 1" ]
