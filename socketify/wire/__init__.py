"""Pure functions of bytes: what HTTP says and how it is written, without native code and without an app."""
