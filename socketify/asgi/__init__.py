"""ASGI 3 applications on an app."""
