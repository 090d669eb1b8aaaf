# What runs on interpreters and machines other than the usual one: sourced by .ci/run and by the scripts beside it.

# Packages that PyPy has no use of, or that have no wheel for it, and would be compiled by compilers that may not be there.
NOT_FOR_PYPY='sslyze|uvloop|kosoku|litestar|hiredis|backports'
# Those of Debian are newer and older than what hypothesis has wheels for; watchfiles has none for PyPy 8.
NOT_FOR_PYPY_OF_DEBIAN="$NOT_FOR_PYPY|watchfiles|hypothesis"
# One has no wheel for every version of CPython.
NOT_FOR_ALL='sslyze'

# Other machines have wheels of few packages: they do with those that are not compiled.
NOT_FOR_MACHINES='(?!pytest|hypothesis|httpx|websockets|h11|h2|hypercorn|starlette)'

# The requirements of the tests, without those whose names match a pattern.
test_requirements() {
  python3 - "$1" <<'PY'
import ast, pathlib, re, sys
extra = re.search(r"^test = (\[.*\])$", pathlib.Path("pyproject.toml").read_text(), re.MULTILINE)
print("multipart>=1.2", *(each for each in ast.literal_eval(extra[1]) if not re.match(sys.argv[1], each)), sep="\n")
PY
}

# What knows most of an interpreter: how it is called, its objects, coroutines and loops, and a little of each interface.
interpreter_suites() {
  ls tests/native/test_*.py tests/loop/test_{coroutines,coroutines_cancelled,task_factories}.py \
    tests/core/test_{before_running,outcomes,running}.py tests/asgi/test_asgi.py tests/wsgi/test_wsgi.py \
    tests/http/test_response.py tests/websocket/test_websocket.py
}

# What no mode of calling touches: the state machine of HTTP/2 by itself, pure functions, and other people's brokers.
by_themselves() {
  grep -l http2_machine tests/http2/test_*.py
  ls tests/wire/test_*.py tests/topics/test_{redis_broker,redis_servers,nats_broker,processes}.py
}

# Suites that exercise the native code from Python, without those of programs around it and of other people's packages.
native_suites() {
  ls tests/{native,system,metrics,loop,core,http,http2,websocket,topics,app,asgi,wsgi,ssgi}/test_*.py tests/test_keywords.py |
    grep -Ev 'templates|frameworks|middlewares|strength|browser|certificate_watch|metrics_port|prometheus|status_page' | grep -vxF "$(by_themselves)"
}

# Nearly all of them.
most_suites() { native_suites | grep -v test_tls; by_themselves | grep -v ^tests/http2/; }

# A little of each interface, and how an interpreter is called: what a machine that qemu imitates runs in minutes.
machine_suites() {
  ls tests/native/test_{calls,hostile_objects,interpreters}.py tests/loop/test_coroutines.py tests/asgi/test_asgi.py \
    tests/wsgi/test_wsgi.py tests/http/test_response.py tests/websocket/test_websocket.py tests/wire/test_*.py
}

# What only a compiler makes where there is no wheel.
ONLY_BINARY=cryptography,pydantic-core,cffi,brotlicffi,ujson,watchfiles,wrapt

# A virtual environment of an interpreter with the requirements: folder, interpreter, pattern of what is left out.
environment_of() {
  "$2" -m venv "$1"
  test_requirements "$3" >"$1/requirements.txt"
  "$1/bin/python" -m pip install -q --prefer-binary --only-binary "$ONLY_BINARY" -r "$1/requirements.txt"
}

# Where this system's packages of Debian come from.
debian_archive() {
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | head -n 1
}

# Puts what the tests need into a folder: all files but the package, so that they see the one that is installed.
tree_without_package() {
  mkdir -p "$1"
  git ls-files | grep -v ^socketify/ | tar -cf - -T - | tar -xf - -C "$1"
}

# Runs suites, and says in one line, behind a name, what passed, failed and was skipped; after all that they say where one fails.
# Returns how they ended: name, command that runs pytest.
in_one_line() {
  local name=$1 status=0 said
  shift
  said=$("$@" 2>&1) || status=$?
  [ "$status" = 0 ] || echo "$said"
  printf '%s: %s\n' "$name" "$(tail -n 1 <<<"$said")"
  return "$status"
}
