# A CPython without its lock, for the scripts beside this one, which source it after suites.sh.

# Builds Debian's CPython 3.13 of trixie so, in a folder, unless it is there already; says where the interpreter is. More options
# than the folder are for its configure.
free_threaded_python() {
  local place=$1 base=$PWD version archive
  shift
  # In $(...) a script goes on after what fails, unless it is told again.
  set -e
  if [ ! -x "$place/python/bin/python3" ]; then
    mkdir -p "$place"/{lists/partial,archives/partial,build}
    archive=$(debian_archive)
    echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $archive trixie main" >"$place/sources.list"
    local apt=(-o Dir::State::Lists="$place/lists" -o Dir::Cache="$place" -o Dir::Etc::SourceList="$place/sources.list"
      -o Dir::Etc::SourceParts=/dev/null)
    apt-get "${apt[@]}" update -qq
    cd "$place"
    apt-get "${apt[@]}" source -qq --download-only python3.13
    tar xf python3.13_*.orig.tar.xz # its signature is beside it
    version=$(ls -d Python-3.13.*)
    cd build
    "../$version/configure" -q --disable-gil --disable-test-modules --prefix="$place/python" "$@"
    make -s -j"$(nproc)" && make -s install
    cd "$base"
  fi >&2
  echo "$place/python/bin/python3"
}

# Without a wheel for these builds, or of something that has none; what is compiled of hiredis and brotli turns the lock on.
NOT_FOR_FREE_THREADED="$NOT_FOR_ALL|uvloop|kosoku|litestar|hiredis|brotli"

# A virtual environment of one with the requirements: folder, interpreter.
free_threaded_environment() {
  # It has no wheel, and is compiled.
  ONLY_BINARY=${ONLY_BINARY/,ujson/} environment_of "$1" "$2" "$NOT_FOR_FREE_THREADED"
}
