"""A page that shows who is there. Usage: python examples/presence.py [PORT]; 3000 at first, 0 for any.

With `broker="redis://localhost"` it shows those of all processes.
"""

import json
import sys

from socketify import App, OpCode

PAGE = """<!doctype html>
<meta charset="utf-8">
<title>Who is there</title>
<ul id="list"></ul>
<script>
  let names = [];
  const socket = new WebSocket(location.origin.replace("http", "ws") + "/room?name=" + location.hash.slice(1));
  socket.onmessage = (event) => {
    const { here, joined, left } = JSON.parse(event.data);
    names = here ?? [...names, ...joined];
    if (left) for (const name of left) names.splice(names.indexOf(name), 1);
    list.replaceChildren(...names.sort().map((name) => {
      const line = document.createElement("li");
      line.textContent = name;
      return line;
    }));
  };
</script>
"""

app = App()


def upgrade(res, req, socket_context):
    """Take the name of who comes."""
    extensions = req.get_header("sec-websocket-extensions")
    name = req.get_query("name") or "somebody"
    res.upgrade(req.get_header("sec-websocket-key"), None, extensions, socket_context, name)


async def enter(ws):
    """Tell who comes who is there: all that was told before, and what is told from now on is new."""
    ws.subscribe("room")
    ws.send(json.dumps({"here": await app.presence("room")}), OpCode.TEXT)


@app.on_presence
def changed(topic, joined, left):
    """Tell those of this process; the others are told by theirs."""
    app.publish_here(topic, json.dumps({"joined": joined, "left": left}), OpCode.TEXT)


app.get("/", lambda res, _req: res.send(PAGE, content_type="text/html; charset=utf-8"))
app.ws("/room", {"upgrade": upgrade, "open": enter, "presence": lambda ws: ws.get_user_data()})
app.listen(
    int(sys.argv[1]) if len(sys.argv) > 1 else 3000, lambda config: print(f"listening on port {config.port}", flush=True)
)
app.run()
