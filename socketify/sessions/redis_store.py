"""Sessions in Redis or Valkey."""

from __future__ import annotations

import asyncio
from typing import Any, Optional
from weakref import WeakKeyDictionary


class RedisStore:
    """Keeps sessions in Redis or Valkey, for any number of processes, by the client ``redis`` (the extra ``redis``).

    Args:
        url: as ``redis://localhost:6379/0``, ``rediss://``, or ``unix://``; as ``redis.asyncio.from_url`` takes it.
        prefix: of the keys.
        **options: of its client, such as ``socket_timeout``, which is 5 seconds otherwise.

    Raises:
        ImportError: the client is not installed.

    """

    def __init__(self, url: str = "redis://localhost:6379/0", prefix: str = "session:", **options: Any) -> None:
        try:
            from redis.asyncio import from_url  # noqa: PLC0415 - an extra
        except ImportError as error:
            message = 'RedisStore needs the package redis: pip install "socketify[redis]"'
            raise ImportError(message, name="redis") from error
        self._from_url = from_url
        self._url = url
        self._prefix = prefix
        self._options = {"socket_timeout": 5.0, "socket_connect_timeout": 5.0, **options}
        # Connections belong to the loop in which they were made: that of each worker, or of each test.
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, Any] = WeakKeyDictionary()

    def _client(self) -> Any:
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            client = self._clients[loop] = self._from_url(self._url, **self._options)
        return client

    async def load(self, key: str) -> Optional[bytes]:
        """Return what was saved; None where nothing was, or where its time is over.

        Raises:
            Exception: an error of the client: the server cannot be asked.

        """
        content: Optional[bytes] = await self._client().get(self._prefix + key)
        return content

    async def save(self, key: str, content: bytes, seconds: int) -> None:
        """Keep a content for so many seconds.

        Raises:
            Exception: an error of the client: the server cannot be asked.

        """
        await self._client().set(self._prefix + key, content, ex=seconds)

    async def delete(self, key: str) -> None:
        """Forget what was saved.

        Raises:
            Exception: an error of the client: the server cannot be asked.

        """
        await self._client().delete(self._prefix + key)

    async def close(self) -> None:
        """Close the connections of this loop: ``app.on_shutdown(store.close)``."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()
