#!/usr/bin/env bash
# One would guess: python-multipart and multipart are two distributions with a module each, and can be installed side by side.
# What is so: python-multipart up to 0.0.12 has a folder "multipart", and multipart 2.0.1 has a file multipart.py. Both are installed
# without a word, and a package wins over a module of the same name, whichever was installed first or last: `import multipart` gives
# the other project's parser, without parse_form_data. From 0.0.13 on the folder leaves the name to whoever else has it.
# Who meets it: a FastAPI application pinned to an old python-multipart that adds anything which needs multipart (the parser that
# left the standard library with cgi): forms fail with AttributeError or ImportError at the first upload, not at installation.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
found=
for version in 0.0.12 0.0.13; do
  for order in "python-multipart==$version multipart==2.0.1" "multipart==2.0.1 python-multipart==$version"; do
    rm -rf "$folder/venv"
    python3 -m venv "$folder/venv"
    for each in $order; do "$folder/venv/bin/pip" install -q "$each" 2>/dev/null; done
    "$folder/venv/bin/pip" check >/dev/null
    has=$("$folder/venv/bin/python" -W ignore -c 'import multipart; print(hasattr(multipart, "parse_form_data"))')
    found+="python-multipart $version, ${order%%=*} first: parse_form_data $has"$'\n'
  done
done
printf '%s' "$found"
expected="python-multipart 0.0.12, python-multipart first: parse_form_data False
python-multipart 0.0.12, multipart first: parse_form_data False
python-multipart 0.0.13, python-multipart first: parse_form_data True
python-multipart 0.0.13, multipart first: parse_form_data True
"
[ "$found" = "$expected" ]
