"""A chat with its page, served by two workers. Usage: python examples/websocket_chat.py [PORT]; 3000 at first, 0 for any."""

import json
import os
import sys

from socketify import OpCode, is_same_origin, serve

PAGE = """<!doctype html>
<meta charset="utf-8">
<title>Chat</title>
<ul id="messages"></ul>
<form id="form"><input id="text" autocomplete="off" autofocus> <button>Send</button></form>
<script>
  const socket = new WebSocket(location.origin.replace("http", "ws") + "/chat?name=" + location.hash.slice(1));
  socket.onmessage = (event) => {
    const { name, text, worker } = JSON.parse(event.data);
    if (worker) {
      document.title = "Chat, by worker " + worker;
      return;
    }
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


def upgrade(res, req, socket_context):
    """Let in pages of this server, each with a name."""
    if not is_same_origin(req):
        res.write_status(403).end("this is a chat of another site")
        return
    name = req.get_query("name") or "somebody"
    extensions = req.get_header("sec-websocket-extensions")
    res.upgrade(req.get_header("sec-websocket-key"), None, extensions, socket_context, name)


def run(app):
    """Add the routes to the app of a worker."""

    def say(name, text):
        """Tell everybody, in all workers."""
        app.publish("room", json.dumps({"name": name, "text": text}), OpCode.TEXT)

    def enter(ws):
        """Get everything that is said from now on, which begins with the news of the own arrival."""
        ws.send(json.dumps({"worker": os.getpid()}), OpCode.TEXT)
        ws.subscribe("room")
        say(ws.get_user_data(), "is here")

    app.get("/", lambda res, _req: res.send(PAGE, content_type="text/html; charset=utf-8"))
    app.ws(
        "/chat",
        {
            "max_payload_length": 4096,
            "upgrade": upgrade,
            "open": enter,
            "message": lambda ws, message, _opcode: say(ws.get_user_data(), message),
            "close": lambda ws, _code, _message: say(ws.get_user_data(), "is gone"),
        },
    )


serve(
    run,
    port=int(sys.argv[1]) if len(sys.argv) > 1 else 3000,
    workers=2,
    on_listen=lambda config: print(f"listening on port {config.port}", flush=True),
)
