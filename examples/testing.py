"""An application and its tests: ``python -m pytest examples/testing.py``; ``python examples/testing.py 8000`` serves it."""

import sys

import pytest

from socketify import App, HTTPError, OpCode
from socketify.testing import TestClient


def run(app):
    notes = []

    async def add(res, req):
        note = await res.get_json()
        if not isinstance(note, str):
            raise HTTPError(422, "a note is text")
        notes.append(note)
        app.publish("notes", note, OpCode.TEXT)
        res.send({"number": len(notes)}, status=201)

    app.post("/notes", add)
    app.get("/notes", lambda res, _req: res.send(notes))
    app.ws("/live", {"open": lambda ws: ws.subscribe("notes"), "message": lambda ws, message, opcode: ws.send(message, opcode)})


@pytest.fixture
def client():
    with TestClient(run) as client:
        yield client


def test_notes(client):
    assert client.get("/notes").json() == []
    assert client.post("/notes", json="milk").json() == {"number": 1}
    assert client.get("/notes").json() == ["milk"]


def test_what_is_no_note(client):
    assert client.post("/notes", json=1).status_code == 422


def test_notes_are_seen_at_once(client):
    with client.websocket_connect("/live") as websocket:
        websocket.send("?")
        assert websocket.receive() == "?"
        client.post("/notes", json="bread")
        assert websocket.receive() == "bread"


if __name__ == "__main__":
    app = App()
    run(app)
    app.listen(int(sys.argv[1]) if len(sys.argv) > 1 else 8000, lambda config: print(f"listening on {config.port}", flush=True))
    app.run()
