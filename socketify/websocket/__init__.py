"""Websockets: what handlers see, routes, and who may connect."""
