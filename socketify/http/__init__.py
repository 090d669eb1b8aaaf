"""Requests, responses and files."""
