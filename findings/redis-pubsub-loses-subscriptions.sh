#!/usr/bin/env bash
# One would guess: tasks that each await subscribe(...) on one PubSub of redis.asyncio are all subscribed when these have returned.
# What is so: the first subscribe connects, and whoever comes meanwhile connects as well (redis-py 8.1.0). The last connection
# stays; what was subscribed to by the others is subscribed nowhere: nothing is raised, and PubSub.channels names it.
# Who meets it: whoever subscribes when a websocket opens, on one PubSub for all of them, as is the usual way: the first visitors
# after a start, of whom several come at once, hear nothing. One subscribe before all others, or a lock, helps.
set -euo pipefail
command -v redis-server >/dev/null || { echo "redis-server is missing"; exit 2; }
folder=$(mktemp -d)
trap 'kill "$(cat "$folder/pid" 2>/dev/null)" 2>/dev/null || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q redis==8.1.0
redis-server --port 0 --unixsocket "$folder/socket" --save "" --daemonize yes --pidfile "$folder/pid" --dir "$folder" >/dev/null
cat >"$folder/program.py" <<'PY'
import asyncio
import sys

from redis.asyncio import Redis


async def main():
    topics = [f"topic {number}" for number in range(10)]
    for together in False, True:
        client = Redis(unix_socket_path=sys.argv[1])
        pubsub = client.pubsub()
        if together:
            await asyncio.gather(*(pubsub.subscribe(topic) for topic in topics))
        else:
            for topic in topics:
                await pubsub.subscribe(topic)
        reached = [await client.publish(topic, "hello") for topic in topics]
        heard = 0
        while message := await pubsub.get_message(timeout=0.5):
            heard += message["type"] == "message"
        how = "together" if together else "one after the other"
        print(f"{how}: channels: {len(pubsub.channels)}, messages: {heard} of {len(reached)}")
        await pubsub.aclose()
        await client.aclose()


asyncio.run(main())
PY
for _ in $(seq 50); do [ -S "$folder/socket" ] && break; sleep 0.1; done
found=$("$folder/venv/bin/python" "$folder/program.py" "$folder/socket")
echo "$found"
[ "${found%%$'\n'*}" = "one after the other: channels: 10, messages: 10 of 10" ]
[[ "$found" == *"together: channels: 10, messages: "[0-9]" of 10" ]]
