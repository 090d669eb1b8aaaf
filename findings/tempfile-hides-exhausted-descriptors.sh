#!/usr/bin/env bash
# One would guess: where a process has no descriptor left, tempfile raises OSError with EMFILE ("Too many open files"), as open() does,
# and code that falls back to memory can look for that errno.
# What is so: the first TemporaryFile, SpooledTemporaryFile or mkstemp of a process (CPython 3.11.7) looks for a usable directory by
# writing a file into each candidate; EMFILE is taken for a directory that cannot be written, so what comes out is FileNotFoundError
# with ENOENT, "No usable temporary directory found". Once a directory was found, the same call says EMFILE.
# Who meets it: servers and frameworks that spool uploads (WSGI servers, Django, Werkzeug, Starlette): under load the log blames the
# disk or the image's /tmp, and a fallback for EMFILE alone does not see the very first upload.
set -euo pipefail
python=${PYTHON311:-$(ls "$HOME"/.pyenv/versions/3.11.7/bin/python 2>/dev/null || command -v python3.11)}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/program.py" <<'PY'
import errno
import os
import resource
import sys
import tempfile

if sys.argv[1] == "later":
    tempfile.gettempdir()
resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))
taken = []
try:
    while True:
        taken.append(os.dup(0))
except OSError:
    pass
try:
    tempfile.TemporaryFile()
    outcome = "a file"
except OSError as error:
    outcome = f"{type(error).__name__} {errno.errorcode[error.errno]}"
for each in taken:
    os.close(each)
print(f"{sys.argv[1]}: {outcome}")
PY
found=$("$python" "$folder/program.py" first; "$python" "$folder/program.py" later)
"$python" --version
echo "$found"
expected="first: FileNotFoundError ENOENT
later: OSError EMFILE"
[ "$found" = "$expected" ]
