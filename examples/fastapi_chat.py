"""A chat of FastAPI on topics, with its page. Usage: python examples/fastapi_chat.py [PORT]; 3000 at first, 0 for any."""

import json
import sys

from fastapi import FastAPI, WebSocket
from fastapi.responses import HTMLResponse

import socketify
from socketify import ASGI, OpCode
from socketify.asgi import topics

PAGE = """<!doctype html>
<meta charset="utf-8">
<title>Chat</title>
<ul id="messages"></ul>
<form id="form"><input id="text" autocomplete="off" autofocus> <button>Send</button></form>
<script>
  const socket = new WebSocket(location.origin.replace("http", "ws") + "/rooms/hall?name=" + location.hash.slice(1));
  socket.onmessage = (event) => {
    const { name, text } = JSON.parse(event.data);
    const line = document.createElement("li");
    line.textContent = name + ": " + text;
    messages.append(line);
  };
  form.onsubmit = (event) => {
    event.preventDefault();
    socket.send(text.value);
    text.value = "";
  };
</script>
"""

app = FastAPI()


@app.get("/", response_class=HTMLResponse)
async def page():
    return PAGE


@app.websocket("/rooms/{room}")
async def chat(websocket: WebSocket, room: str, name: str = "somebody"):
    def say(text):
        topics.publish(websocket, room, json.dumps({"name": name, "text": text}))

    await websocket.accept()
    topics.subscribe(websocket, room)
    say("is here")
    try:
        async for text in websocket.iter_text():
            say(text)
    finally:
        say("is gone")


@app.post("/rooms/{room}")
def announce(room: str, text: str):
    """Say something from a request, which FastAPI handles in a thread of its own."""
    return {"heard": socketify.publish(room, json.dumps({"name": "server", "text": text}), OpCode.TEXT)}


def main():
    server = ASGI(app)
    server.listen(
        int(sys.argv[1]) if len(sys.argv) > 1 else 3000, lambda config: print(f"listening on port {config.port}", flush=True)
    )
    server.run()


if __name__ == "__main__":
    main()
