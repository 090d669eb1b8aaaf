"""Pure functions of bytes: reading and writing parts of HTTP, without native code and without an app."""
