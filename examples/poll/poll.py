"""A live poll with rooms: who asks makes a room, and everybody in it sees the votes come in."""

import os
import secrets
from pathlib import Path

from store import Store

from socketify import HTTPError, Jinja2Template, OpCode, is_same_origin

FOLDER = Path(__file__).parent


def asked(form):
    """Return the question and the choices of a form."""
    choices = [line.strip() for line in form.get("choices", "").splitlines()]
    return form.get("question", "").strip(), [each for each in choices if each]


def run(app):
    """Add the poll to the app of a worker."""
    store = Store(os.environ.get("POLL_DATABASE", "poll.db"))
    app.template(Jinja2Template(FOLDER / "templates"))
    app.static("/static", FOLDER / "static")

    async def add_room(res, req):
        form = await res.get_form(req)
        if form is None:
            return  # the client left
        question, choices = asked(form)
        if question and len(choices) >= 2:
            res.redirect(f"/rooms/{store.add_room(question, choices)}", 303)
        else:
            res.write_status(400).render("home.html", question=question, mistake="A poll has a question and two choices.")

    def show_room(res, req):
        name = req.get_parameter("room")
        question = store.question(name)
        if question is None:
            raise HTTPError(404, "there is no such room")
        if req.get_cookie("voter") is None:
            res.set_cookie("voter", secrets.token_urlsafe(16), {"path": "/", "httponly": True, "samesite": "lax"})
        res.render("room.html", question=question, choices=store.choices(name))

    def enter(res, req, socket_context):
        room, voter = req.get_parameter("room"), req.get_cookie("voter")
        if voter is None or store.question(room) is None or not is_same_origin(req):
            res.send("see the page of the room first", status=403)
            return
        key = req.get_header("sec-websocket-key")
        res.upgrade(key, None, None, socket_context, (room, voter))

    def show_counts(ws):
        room, _ = ws.get_user_data()
        ws.subscribe(f"rooms/{room}")
        ws.send(store.counts(room), OpCode.TEXT)

    def vote(ws, message, opcode):
        room, voter = ws.get_user_data()
        if message not in map(str, range(len(store.choices(room)))):
            ws.end(1008, "that is none of the choices")
            return
        store.vote(room, voter, int(message))
        app.publish(f"rooms/{room}", store.counts(room), OpCode.TEXT)

    app.get("/", lambda res, _req: res.render("home.html"))
    app.post("/rooms", add_room)
    app.get("/rooms/:room", show_room)
    app.ws("/rooms/:room", {"max_payload_length": 100, "upgrade": enter, "open": show_counts, "message": vote})
