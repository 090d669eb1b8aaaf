"""What a worker is called in logs."""

from __future__ import annotations

import logging
from typing import Optional

from .worker import worker_index


def worker_name() -> Optional[str]:
    """Return the number of this worker, from 1 on, as text; None in a process that is none."""
    index = worker_index()
    return None if index is None else str(index + 1)


class NameWorker(logging.Filter):
    """Lets the records of a logger say which worker wrote them: in the attribute ``worker``, and in front of the message."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Name the worker, once; ``request_id`` is for formatters too, and empty where no request is known."""
        if not hasattr(record, "request_id"):
            record.request_id = ""
        if not hasattr(record, "worker"):
            name = worker_name()
            record.worker = name or ""
            if name is not None:
                record.msg = f"worker {name}: {record.msg}"
        return True
