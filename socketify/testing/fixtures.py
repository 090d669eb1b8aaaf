"""Fixtures of pytest: ``pytest_plugins = ["socketify.testing.fixtures"]`` in the ``conftest.py`` of the root folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Callable

import pytest

from .client import TestClient


@pytest.fixture
def test_client() -> Iterator[Callable[..., TestClient]]:
    """Return a function that takes the arguments of :class:`TestClient`, and gives a client that is closed after the test."""
    with ExitStack() as clients:
        yield lambda *arguments, **options: clients.enter_context(TestClient(*arguments, **options))


@pytest.fixture
def client(app: Any, test_client: Callable[..., TestClient]) -> TestClient:
    """Return a client of what the fixture ``app`` of your tests returns."""
    return test_client(app)
