#!/usr/bin/env bash
# One would guess: `sphinx-build -W`, which turns warnings into errors, fails as long as a link is broken.
# What is so: Sphinx 9.0.4 fails once. The page with the broken link counts as written all the same, so the next build finds nothing
# to do, warns of nothing, and succeeds, with the broken link in its output.
# Who meets it: whoever runs the build again after an error, and any CI that keeps its output or doctrees for the next run; `-E`
# reads everything anew.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q sphinx==9.0.4
mkdir "$folder/source"
touch "$folder/source/conf.py"
printf 'Page\n====\n\n:doc:`nowhere`\n' >"$folder/source/index.rst"
found=
for options in "" "" -E; do
  status=0
  "$folder/venv/bin/sphinx-build" -q -W $options "$folder/source" "$folder/html" || status=$?
  found+="$status "
done
echo "$found"
[ "$found" = "1 0 1 " ]
