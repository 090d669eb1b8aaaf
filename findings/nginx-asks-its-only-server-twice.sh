#!/usr/bin/env bash
# One would guess: an upstream of nginx that has one server has no next one, so that proxy_next_upstream, which is "error timeout"
# as it comes, means nothing there: a request whose connection ends without an answer is a 502.
# What is so: nginx 1.22.1, that of Debian 12, sends a GET again, by a new connection to the same server, where the first one was
# kept from an earlier request (keepalive in the upstream), although it had sent the whole request. A POST it sends once, and with
# "proxy_next_upstream off" all of them.
# Who meets it: whose application has a request that kills or blocks its worker: it takes a second worker with it. Without
# keepalive nobody sees it.
set -euo pipefail
folder=$(mktemp -d)
trap 'kill "$server" "$nginx" 2>/dev/null; rm -rf "$folder"' EXIT
port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
user=$([ "$(id -u)" = 0 ] && echo "user root;" || true)
cat >"$folder/server.py" <<'PY'
import socket
import sys
import threading


def serve(connection):
    while request := connection.recv(65536):
        line = request.split(b"\r\n")[0].decode()
        print(line, flush=True)
        if "/dies" in line:
            break
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    connection.close()


listening = socket.socket(socket.AF_UNIX)
listening.bind(sys.argv[1])
listening.listen()
while True:
    threading.Thread(target=serve, args=[listening.accept()[0]], daemon=True).start()
PY
cat >"$folder/nginx.conf" <<CONF
$user
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
  upstream one { server unix:$folder/socket; keepalive 4; }
  server {
    listen 127.0.0.1:$port;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    location / { proxy_pass http://one; }
    location /off/ { proxy_pass http://one; proxy_next_upstream off; }
  }
}
CONF
python3 "$folder/server.py" "$folder/socket" >"$folder/asked" &
server=$!
nginx -p "$folder" -c "$folder/nginx.conf" -g "daemon off;" 2>/dev/null &
nginx=$!
for _ in $(seq 100); do
  curl --silent --fail --output /dev/null "http://127.0.0.1:$port/kept" && break
  sleep 0.1
done
# Each is the second request of its connection.
times() {
  curl --silent --output /dev/null "http://127.0.0.1:$port/kept"
  curl --silent --output /dev/null --request "$1" "http://127.0.0.1:$port$2"
  echo "$1 $2: asked $(grep -c "^$1 $2 " "$folder/asked") times"
}
nginx -v
found="$(times GET /dies)
$(times POST /dies)
$(times GET /off/dies)"
echo "$found"
[ "$found" = "GET /dies: asked 2 times
POST /dies: asked 1 times
GET /off/dies: asked 1 times" ]
