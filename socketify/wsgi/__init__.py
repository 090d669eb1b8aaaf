"""WSGI applications (PEP 3333) on an app."""
