#!/usr/bin/env bash
# Runs suites on a CPython that is linked with musl, with the wheel for musl, which pip chooses by its tag. Debian has no such
# interpreter, so one is built of its source packages, with OpenSSL, zlib and libffi, by its musl-gcc; which takes a quarter of an
# hour on two cores, and is kept. Needs the package musl-tools. Says in one line what passed, failed and was skipped, after why.
#
# Usage: [SOCKETIFY_WHEEL=WHEEL_THAT_IS_BUILT] tests/platforms/musl.sh [PYTEST ARGUMENTS]
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/platforms/suites.sh

# Libraries of Debian 12, as old as its musl. CPython is that of Debian 13, whose version free_threaded.sh has, too.
LIBRARIES='libffi/bookworm zlib/bookworm openssl/bookworm' CPYTHON=python3.13/trixie

# Downloads the sources into a folder, with package lists of their own.
download_sources() {
  mkdir -p "$1"/{lists/partial,archives/partial}
  local archive
  archive=$(debian_archive)
  for each in bookworm trixie; do
    echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $archive $each main"
  done >"$1/sources.list"
  local apt=(-o Dir::State::Lists="$1/lists" -o Dir::Cache="$1" -o Dir::Etc::SourceList="$1/sources.list"
    -o Dir::Etc::SourceParts=/dev/null -o APT::Sandbox::User=root)
  apt-get "${apt[@]}" update -qq
  cd "$1"
  apt-get "${apt[@]}" source -qq --download-only $LIBRARIES $CPYTHON
  for each in $(ls *.orig.tar.* | grep -v '\.asc$'); do tar xf "$each"; done
}

# Builds the interpreter, with what it needs, in a folder.
build_python() {
  rm -rf "$1"
  (download_sources "$1")
  # The kernel's headers are the same for each C library, but lie among those of glibc.
  mkdir "$1"/{kernel,build}
  ln -s /usr/include/{linux,asm-generic} "/usr/include/$(gcc -print-multiarch)/asm" "$1/kernel"
  # What compiles extension modules later on, too. gcc says the name of glibc's folders, which CPython's build would go by.
  cat >"$1/cc" <<SH2
#!/bin/sh
[ "\$1" != --print-multiarch ] || exec echo "$(uname -m)-linux-musl"
exec musl-gcc -isystem "$1/kernel" "\$@"
SH2
  chmod +x "$1/cc"
  # No other libraries than these are found.
  export CC="$1/cc" PKG_CONFIG_LIBDIR="$1/python/lib/pkgconfig" MAKEFLAGS="-s -j$(nproc)"
  cd "$1"/libffi-*/
  ./configure -q --prefix="$1/python" --disable-docs --disable-static --disable-exec-static-tramp
  make install
  cd "$1"/zlib-*/
  ./configure --prefix="$1/python"
  make install
  cd "$1"/openssl-*/
  # musl cannot change contexts, which asynchronous engines would do.
  ./Configure --prefix="$1/python" --libdir=lib --openssldir=/etc/ssl no-async no-engine no-tests
  make install_dev
  cd "$1/build"
  # Threads have 128 KiB of stack with musl, which deep calls of Python exceed: images of Alpine raise it, too.
  "$1"/Python-3.*/configure -q --prefix="$1/python" --with-openssl="$1/python" --disable-test-modules \
    LDFLAGS="-Wl,-z,stack-size=0x100000 -Wl,-rpath,$1/python/lib"
  make
  make install
}

kept=${XDG_CACHE_HOME:-$HOME/.cache}/socketify-musl
if [ ! -x "$kept/python/bin/python3" ]; then
  echo "CPython is built, which says in $kept.log how" >&2
  mkdir -p "${kept%/*}"
  (build_python "$kept") >"$kept.log" 2>&1
fi
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
[ -n "${SOCKETIFY_WHEEL:-}" ] || python3 tools/wheels.py --target "$(uname -m)-linux-musl" --output "$place/wheels"
# The libraries in its wheels are relocated in a way that musl knows since 1.2.4 (findings/musllinux-wheels-relocate-by-relr.sh).
environment_of "$place/venv" "$kept/python/bin/python3" "$NOT_FOR_ALL|ujson"
python=$place/venv/bin/python
# A wheel that is asked for by its name is one whose tag pip takes.
"$python" -m pip install -q --no-index --no-deps --find-links "${SOCKETIFY_WHEEL:-$place/wheels}" socketify

# The tests see the package that is installed, not that of the source tree.
tree_without_package "$place/tree"
cd "$place/tree"
[ $# != 0 ] || set -- $(native_suites)
in_one_line "$("$python" -VV), musl $("/lib/ld-musl-$(uname -m).so.1" 2>&1 | sed -n 's/^Version //p')" "$python" -m pytest -q \
  -p no:cacheprovider --deselect tests/native/test_calls.py::test_other_interpreters_get_the_same \
  --deselect tests/native/test_abi.py::test_abi_is_what_the_headers_say "$@"
