"""What apps count for whoever watches them: the memory that processes share, and the text that Prometheus reads."""
