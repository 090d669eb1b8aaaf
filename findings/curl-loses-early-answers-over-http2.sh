#!/usr/bin/env bash
# One would guess: a server that answers an upload before its end (403, 413, a redirect) and then tells the client to stop, by
# RST_STREAM with NO_ERROR as RFC 9113 section 8.1 has it, is understood by curl: the answer was complete, and clients must not
# discard it.
# What is so: curl 7.88.1, that of Debian 12, ends with 92 (stream error in the framing layer) or, where it waited for 100
# (Continue), with 52 (empty reply), and shows nothing of the answer; from nginx as well. Over HTTP/1.1 the same curl shows it.
# Who meets it: whoever tests the refusal of uploads by curl --http2, and looks for the fault in the server.
set -euo pipefail
folder=$(mktemp -d)
trap 'kill "$server" 2>/dev/null; rm -rf "$folder"' EXIT
port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >"$folder/nginx.conf" <<CONF
pid $folder/pid;
error_log $folder/errors;
events {}
http {
  access_log off;
  client_body_temp_path $folder/body;
  proxy_temp_path $folder/proxy;
  fastcgi_temp_path $folder/fastcgi;
  uwsgi_temp_path $folder/uwsgi;
  scgi_temp_path $folder/scgi;
  server {
    listen 127.0.0.1:$port http2;
    location / { return 403; }
  }
}
CONF
nginx -p "$folder" -c "$folder/nginx.conf" -g "daemon off;" 2>/dev/null &
server=$!
head -c 300000 /dev/zero >"$folder/upload"
for _ in $(seq 50); do
  curl --silent --http2-prior-knowledge "http://127.0.0.1:$port/" >/dev/null && break
  sleep 0.1
done
upload() {
  local status=0
  curl --silent --http2-prior-knowledge --output /dev/null --write-out '%{http_code}' --data-binary "@$folder/upload" "$@" \
    "http://127.0.0.1:$port/" || status=$?
  echo ", curl ends with $status"
}
curl --version | head -1
nginx -v
found="at once: $(upload --header Expect:)
after 100: $(upload --header 'Expect: 100-continue')"
echo "$found"
expected="at once: 000, curl ends with 92
after 100: 000, curl ends with 52"
[ "$found" = "$expected" ]
