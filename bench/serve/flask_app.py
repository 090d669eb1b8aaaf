"""A Flask application: the route of FastAPI's."""

from __future__ import annotations

from typing import Any

from flask import Flask, request

app = wsgi = Flask(__name__)


@app.get("/items/<int:item_id>")
def item(item_id: int) -> dict[str, Any]:
    """Answers at once."""
    return {"item_id": item_id, "q": request.args.get("q", "")}
