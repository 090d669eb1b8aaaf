#!/usr/bin/env bash
# One would guess: what a request's URL is does not depend on what was asked of the request before.
# What is so: the engine of the published socketify 0.0.31 decodes a value of the query where it lies, and ends it with a NUL. After
# get_query("q") the full URL of /?q=a%20b%20c, and what get_queries() gives, hold the shorter text, the NUL, and the rest of the longer.
# Who meets it: whoever reads a query and then logs, signs or redirects to the full URL.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q socketify==0.0.31 cffi setuptools
cat >"$folder/program.py" <<'PY'
import threading
import urllib.request

from socketify import App


def show(res, req):
    req.get_query("q")
    res.end(repr([req.get_full_url(), req.get_queries()]))


def ask(config):
    def client():
        print(urllib.request.urlopen(f"http://127.0.0.1:{config.port}/?q=a%20b%20c").read().decode())
        app.close()

    threading.Thread(target=client).start()


app = App()
app.get("/", show)
app.listen(0, ask)
app.run()
PY
found=$(env -u PYTHONPATH timeout 20 "$folder/venv/bin/python" "$folder/program.py")
echo "$found"
[ "$found" = "['/?q=a b c\\x0020c', {'q': ['a b c\\x0020c']}]" ]
