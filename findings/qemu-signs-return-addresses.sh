#!/usr/bin/env bash
# One would guess: qemu-user runs programs of all machines some ten times slower than this machine runs its own.
# What is so: what was compiled with -mbranch-protection=standard, as all of Debian and Ubuntu is for arm64, signs the return
# address of each function. qemu 7.2 computes the signature by the cipher QARMA, in software: calls take fourteen times as long as
# with a cheap signature, and suites of tests on Debian's CPython did not end in a quarter of an hour, instead of after 77 seconds.
# Who meets it: whoever tests or builds for arm64 in containers or chroots with qemu-user: jobs that end by their time-outs.
# "-cpu max,pauth-impdef=on", or QEMU_CPU=max,pauth-impdef=on where binfmt_misc starts it, signs by a cheap function.
# Needs qemu-aarch64-static and pip install ziglang.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/calls.c" <<'C'
#include <stdio.h>
__attribute__((noinline)) static unsigned fib(unsigned n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
int main(void) { return printf("%u\n", fib(30)) < 0; }
C
qemu-aarch64-static --version | head -n 1
TIMEFORMAT='%U seconds of a processor'
for protection in none standard; do
  python3 -m ziglang cc -target aarch64-linux-musl -O1 -static -fno-sanitize=all "-mbranch-protection=$protection" \
    "$folder/calls.c" -o "$folder/calls"
  for options in "" "-cpu max,pauth-impdef=on"; do
    printf '%-9s %-25s' "$protection" "$options"
    { time qemu-aarch64-static $options "$folder/calls" >/dev/null; } 2>&1
  done
done
