# What runs on interpreters and machines other than the usual one: sourced by .ci/run and by the scripts beside it.

# Packages without a wheel for PyPy: they would be compiled, by compilers that may not be there.
NOT_FOR_PYPY='sslyze|uvloop|ujson|kosoku|litestar|shtab|watchfiles|hiredis|brotli|backports|opentelemetry'
# One has no wheel for every version of CPython.
NOT_FOR_ALL='sslyze'

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

# A virtual environment of an interpreter with the requirements: folder, interpreter, pattern of what is left out.
environment_of() {
  "$2" -m venv "$1"
  test_requirements "$3" >"$1/requirements.txt"
  "$1/bin/python" -m pip install -q --prefer-binary --only-binary cryptography,pydantic-core,cffi -r "$1/requirements.txt"
}
