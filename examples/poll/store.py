"""Rooms, each with a question and its choices, and who voted for what: in a file that all workers share."""

import secrets
import sqlite3
from typing import Optional

TABLES = """
CREATE TABLE IF NOT EXISTS rooms (name TEXT PRIMARY KEY, question TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS choices (room TEXT, number INTEGER, text TEXT NOT NULL, PRIMARY KEY (room, number));
CREATE TABLE IF NOT EXISTS votes (room TEXT, voter TEXT, number INTEGER NOT NULL, PRIMARY KEY (room, voter));
"""


class Store:
    """What is kept of all rooms."""

    def __init__(self, path: str) -> None:
        self._database = sqlite3.connect(path)
        self._database.executescript(TABLES)

    def add_room(self, question: str, choices: list[str]) -> str:
        """Add a room, and return its name, which nobody guesses."""
        name = secrets.token_urlsafe(6)
        with self._database as database:
            database.execute("INSERT INTO rooms VALUES (?, ?)", (name, question))
            database.executemany("INSERT INTO choices VALUES (?, ?, ?)", [(name, *each) for each in enumerate(choices)])
        return name

    def question(self, room: str) -> Optional[str]:
        """Return the question of a room, or None if there is no such room."""
        row = self._database.execute("SELECT question FROM rooms WHERE name = ?", (room,)).fetchone()
        return row[0] if row else None

    def choices(self, room: str) -> list[str]:
        """Return the choices of a room, in their order."""
        rows = self._database.execute("SELECT text FROM choices WHERE room = ? ORDER BY number", (room,))
        return [text for (text,) in rows]

    def vote(self, room: str, voter: str, number: int) -> None:
        """Vote for a choice. Who voted before changes their mind."""
        with self._database as database:
            database.execute("INSERT OR REPLACE INTO votes VALUES (?, ?, ?)", (room, voter, number))

    def counts(self, room: str) -> list[int]:
        """Return how many voted for each choice."""
        rows = self._database.execute(
            "SELECT COUNT(voter) FROM choices LEFT JOIN votes USING (room, number) WHERE room = ? GROUP BY number", (room,)
        )
        return [count for (count,) in rows]
