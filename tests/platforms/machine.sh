#!/usr/bin/env bash
# Builds the wheel for another machine, and runs suites with it under qemu, with Debian's CPython for that machine: nothing is
# installed here but qemu-user-static, and neither root nor binfmt_misc is needed. Takes a quarter of an hour on two cores.
# One line at the end says what passed, failed and was skipped.
#
# Usage: [SOCKETIFY_WHEEL=WHEEL_THAT_IS_BUILT] tests/platforms/machine.sh arm64|riscv64|ppc64el|s390x [SUITE [PYTEST ARGUMENTS]]
#
# SUITE is one of Debian's (default: sid, the only one that has all of them with one version of CPython).
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/platforms/suites.sh

machine=${1:?"arm64, riscv64, ppc64el or s390x"} suite=${2:-sid} options=
shift $(($# < 2 ? $# : 2))
case $machine in
  # Debian's programs sign each return address, which takes ten times as long as the rest if it is computed as real ones do.
  arm64) qemu=aarch64 target=aarch64-linux-gnu.2.17 options='-cpu max,pauth-impdef=on' ;;
  riscv64) qemu=riscv64 target=riscv64-linux-gnu.2.31 ;;
  # Its systems have pages of 64 KiB.
  ppc64el) qemu=ppc64le target=powerpc64le-linux-gnu.2.19 options='-p 65536' ;;
  s390x) qemu=s390x target=s390x-linux-gnu.2.17 ;;
  *)
    echo "no wheel is made for $machine" >&2
    exit 2
    ;;
esac

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
if [ -z "${SOCKETIFY_WHEEL:-}" ]; then
  python3 tools/wheels.py --target $target --output "$place/wheels"
  SOCKETIFY_WHEEL=$(ls "$place"/wheels/*.whl)
fi
# By its name and tag, as pip chooses it.
tag=${SOCKETIFY_WHEEL##*-}
python3 -m pip install -q --no-index --no-deps --only-binary :all: --platform "${tag%.whl}" --target "$place/package" "$SOCKETIFY_WHEEL"
# The tests see the package that is installed, not that of the source tree.
tree_without_package "$place/tree"

# Packages are unpacked, not installed: the package lists are those of a folder of their own, from where this system's come.
mkdir -p "$place"/{lists/partial,archives/partial,debs,root}
archive=$(debian_archive)
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $archive $suite main" >"$place/sources.list"
apt=(-o "APT::Architecture=$machine" -o "APT::Architectures=$machine" -o Dir::State::Lists="$place/lists" -o Dir::Cache="$place"
  -o Dir::Etc::SourceList="$place/sources.list" -o Dir::Etc::SourceParts=/nonexistent -o Dir::State::status=/dev/null
  # What a mirror has of sid may be older than its lists allow.
  -o Acquire::Check-Valid-Until=false -o APT::Sandbox::User=root)
apt-get "${apt[@]}" update -qq
version=$(apt-cache "${apt[@]}" show python3 | sed -n 's/^Version: \(3\.[0-9]*\).*/\1/p' | head -n 1)
# What only installs others is of no use.
libraries=$(apt-cache "${apt[@]}" depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
  --no-enhances "python$version" | grep '^[a-z]' | grep -Ev '^(python3|debconf|perl-base|dpkg)$' | sort -u |
  comm -12 - <(apt-cache "${apt[@]}" pkgnames | sort))
(cd "$place/debs" && apt-get "${apt[@]}" download -qq $libraries)
for each in "$place"/debs/*.deb; do dpkg -x "$each" "$place/root"; done
# What the package base-files makes when it is installed.
for each in lib lib64; do [ -e "$place/root/$each" ] || ln -s "usr/$each" "$place/root/$each"; done

test_requirements "$NOT_FOR_MACHINES" >"$place/requirements.txt"
python3 -m pip install -q --platform manylinux2014_$qemu --platform manylinux_2_28_$qemu --platform manylinux_2_39_$qemu \
  --python-version "$version" --implementation cp --only-binary :all: --target "$place/packages" -r "$place/requirements.txt"

# What tests start as sys.executable.
cat >"$place/python" <<SH2
#!/bin/sh
exec qemu-$qemu-static $options -L "$place/root" "$place/root/usr/bin/python$version" "\$@"
SH2
chmod +x "$place/python"
export PYTHONPATH=$place/packages:$place/package:$place/tree
# What is compiled to bytecode there is kept for the programs that tests start.
export PYTHONPYCACHEPREFIX=$place/compiled
unset PYTHONDONTWRITEBYTECODE
cd "$place/tree"
[ $# != 0 ] || set -- $(machine_suites)
# qemu 7.2 forgets the nanoseconds of what fstat says there, so that no file seems to be the one that was bound.
[ "$machine" != s390x ] || set -- -k 'not unix_socket' "$@"
"$place/python" -c "import sys, pytest; sys.executable = '$place/python'; sys.exit(pytest.main(sys.argv[1:]))" \
  -q -p no:cacheprovider --deselect tests/native/test_calls.py::test_other_interpreters_get_the_same "$@"
