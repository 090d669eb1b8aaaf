#!/usr/bin/env bash
# One would guess: an application of Werkzeug or Flask runs under wsgiref.validate, the standard library's check of PEP 3333, on every
# server that the validator itself accepts.
# What is so: where the environ has wsgi.input_terminated, a key that Werkzeug looks for and some servers set, werkzeug 3.1.9 reads the
# body by read() without an argument; the validator demands one and raises AssertionError. Without that key the same application passes.
# Who meets it: whoever wraps a Flask application in the validator to find faults of middlewares, and finds this one instead.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q werkzeug==3.1.9
cat >"$folder/program.py" <<'PY'
import io
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

from werkzeug.wrappers import Request, Response


@Request.application
def app(request):
    return Response(request.get_data(), mimetype="text/plain")


def outcome(terminated):
    environ = {"REQUEST_METHOD": "POST", "QUERY_STRING": "", "CONTENT_LENGTH": "3", "wsgi.input": io.BytesIO(b"abc")}
    setup_testing_defaults(environ)
    if terminated:
        environ["wsgi.input_terminated"] = True
    try:
        result = validator(app)(environ, lambda status, headers, exc_info=None: lambda data: None)
        body = b"".join(result)
        result.close()
        return body.decode()
    except AssertionError as error:
        return "AssertionError"


for terminated in (False, True):
    print(f"input_terminated {terminated}: {outcome(terminated)}")
PY
found=$("$folder/venv/bin/python" "$folder/program.py")
echo "$found"
expected="input_terminated False: abc
input_terminated True: AssertionError"
[ "$found" = "$expected" ]
