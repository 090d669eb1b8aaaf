"""What visitors of the poll can do, and what they cannot."""

import pytest
from poll import run

from socketify.testing import TestClient, WebSocketClosed, WebSocketRejected


@pytest.fixture
def client(tmp_path, monkeypatch):
    """Return a client of a poll without rooms."""
    monkeypatch.setenv("POLL_DATABASE", str(tmp_path / "poll.db"))
    with TestClient(run) as client:
        yield client


def open_room(client):
    """Open a room, see its page, and return its path."""
    answer = client.post("/rooms", data={"question": "Tea or coffee?", "choices": "Tea\nCoffee"})
    assert "Tea or coffee?" in answer.text
    return answer.url.path


def test_votes_are_seen_by_everybody_in_the_room(client):
    room = open_room(client)
    with client.websocket_connect(room) as visitor, client.websocket_connect(room) as other:
        assert visitor.receive_json() == other.receive_json() == [0, 0]
        visitor.send("1")
        assert visitor.receive_json() == other.receive_json() == [0, 1]


def test_who_votes_again_changes_their_mind(client):
    with client.websocket_connect(open_room(client)) as visitor:
        counts = [visitor.receive_json()]
        for choice in ("1", "0"):
            visitor.send(choice)
            counts.append(visitor.receive_json())
    assert counts == [[0, 0], [0, 1], [1, 0]]


def test_what_is_no_choice_ends_the_connection(client):
    with client.websocket_connect(open_room(client)) as visitor:
        visitor.receive_json()
        visitor.send("2")
        with pytest.raises(WebSocketClosed, match="1008"):
            visitor.receive()


def test_who_did_not_see_the_page_cannot_vote(client):
    room = open_room(client)
    client.cookies.clear()
    with pytest.raises(WebSocketRejected), client.websocket_connect(room):
        pass


def test_a_poll_needs_a_question_and_two_choices(client):
    answer = client.post("/rooms", data={"question": "Tea?", "choices": "Tea"})
    assert answer.status_code == 400
    assert "two choices" in answer.text
