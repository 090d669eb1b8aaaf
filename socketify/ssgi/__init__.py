"""SSGI applications on an app."""
