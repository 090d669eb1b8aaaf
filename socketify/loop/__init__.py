"""A thread's event loop: asyncio's, which drives the native one, and the coroutines that begin in it."""
