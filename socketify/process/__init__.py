"""Processes: the supervisor, its workers, and the sockets that they share."""
