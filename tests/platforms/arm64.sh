#!/usr/bin/env bash
# Builds the library for arm64, and runs suites with it under qemu, with Debian's CPython for that machine: nothing is installed
# here but qemu-user-static, and no binfmt_misc is needed. Takes a quarter of an hour on two cores.
#
# Usage: tests/platforms/arm64.sh [PYTEST ARGUMENTS]
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/platforms/suites.sh

target=aarch64-linux-gnu.2.17
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m ziglang build -Dtarget=$target -Dinto-source=false "-Dpython=$(command -v python3)" --prefix "$place"

# Packages are unpacked, not installed: the package lists are those of a folder of their own.
mkdir -p "$place"/{lists/partial,archives/partial,debs,root}
apt=(-o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State::Lists="$place/lists" -o Dir::Cache="$place")
apt-get "${apt[@]}" update -qq
version=$(python3 -c "import sys; print(*sys.version_info[:2], sep='.')")
libraries=$(apt-cache "${apt[@]}" depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
  --no-enhances "python$version" | grep '^[a-z]' | sort -u)
(cd "$place/debs" && apt-get "${apt[@]}" download -qq $libraries 2>/dev/null)
for each in "$place"/debs/*.deb; do dpkg -x "$each" "$place/root"; done

test_requirements "$NOT_FOR_ALL|uvloop|kosoku|litestar|shtab|watchfiles" >"$place/requirements.txt"
python3 -m pip install -q --platform manylinux2014_aarch64 --platform manylinux_2_28_aarch64 --python-version "$version" \
  --implementation cp --only-binary :all: --target "$place/packages" -r "$place/requirements.txt"

# What tests start as sys.executable.
cat >"$place/python" <<SH
#!/bin/sh
exec qemu-aarch64-static -L "$place/root" "$place/root/usr/bin/python$version" "\$@"
SH
chmod +x "$place/python"
export PYTHONPATH=$place/packages:$PWD SOCKETIFY_LIBRARY=$place/lib/libsocketify.so
[ $# != 0 ] || set -- $(interpreter_suites)
"$place/python" -c "import sys, pytest; sys.executable = '$place/python'; sys.exit(pytest.main(sys.argv[1:]))" \
  -q -p no:cacheprovider "$@"
