"""A program whose websockets subscribe and publish: ``topics_program.py BROKER [HOST]`` prints its port."""

from __future__ import annotations

import sys

from socketify import App, AppListenOptions, OpCode, WebSocket

app = App(broker=sys.argv[1])


async def on_message(ws: WebSocket, message: str, _opcode: OpCode) -> None:
    """Carry out a line of a test."""
    verb, _, rest = message.partition(" ")
    if verb == "publish":
        topic, _, text = rest.partition(" ")
        app.publish(topic, text, OpCode.TEXT)
        return
    if verb == "subscribe":
        for topic in rest.split(","):
            ws.subscribe(topic)
        await app.flush_topics()
    elif verb == "flush":
        await app.flush_topics()
    elif verb == "count":
        ws.send(f"count: {await app.count_subscribers(rest, timeout=5)}", OpCode.TEXT)
        return
    ws.send(f"{verb}: {','.join(str(each) for each in app.broker_counters)}", OpCode.TEXT)


app.ws("/", {"message": on_message, "idle_timeout": 0})
host = sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1"
app.listen(AppListenOptions(port=0, host=host), lambda config: print(config.port, flush=True))
app.run()
