"""An app that compresses its responses: what native code asks about them, and the coders that it gives their content to."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Callable, Optional

from ..native import abi, lib
from ..wire.content_codings import CodedHead, plan_head
from .coders import Coder, new_coder
from .core import Core
from .response_compression import ResponseCompression

#: Heads that were seen before, with what was accepted; longer ones are mostly seen once.
_KNOWN_MAX = 512
_KNOWN_BYTES_MAX = 1024
#: No receipt is negative.
_FAILED = -1


def compress(core: Core, options: ResponseCompression) -> None:
    """Let an app compress its responses."""
    outcome = core.outcome
    coders = Coders(lambda error: outcome.fail_handle(error, 0, "compressing a response failed"), options)
    plan, code = abi.PlanCallback(coders.plan), abi.CodeCallback(coders.code)
    core.callbacks += (plan, code)
    core.configure(lambda native: lib.sk_app_compress(native, options.minimum_size, plan, code))


class Coders:
    """The coders of the responses in progress. Native code calls the methods, which never raise.

    Args:
        report: gets errors.
        options: what is compressed, and how.

    """

    def __init__(self, report: Callable[[BaseException], None], options: ResponseCompression) -> None:
        self._report = report
        self._options = options
        self._codings = tuple(options.codings or ())
        self._makers = {coding: new_coder(coding) for coding in self._codings}
        self._running: dict[int, Coder] = {}
        self._plan_known = lru_cache(_KNOWN_MAX)(self._plan)

    def plan(
        self, handle: int, accepts: int, accepts_length: int, head: int, head_length: int, flags: int, receipt: int
    ) -> int:
        """Decide about a response, and begin its coder."""
        try:
            block = ctypes.string_at(head or 0, head_length)
            field = ctypes.string_at(accepts or 0, accepts_length).decode("latin-1")
            decide = self._plan_known if head_length + accepts_length <= _KNOWN_BYTES_MAX else self._plan
            planned = decide(block, field, flags)
            if planned is None:
                return receipt
            coding = planned.coding
            if coding is not None and not flags & abi.PLAN_BODILESS:
                self._running[handle] = self._makers[coding](self._options.level(coding))
            _give(planned.block)
        except BaseException as error:  # native code is the caller
            self._running.pop(handle, None)
            self._report(error)
            return _FAILED
        return receipt if coding is None else receipt + abi.PLAN_CODED

    def _plan(self, block: bytes, accepts: str, flags: int) -> Optional[CodedHead]:
        return plan_head(
            block,
            accepts,
            self._codings,
            self._options.covers,
            small=bool(flags & abi.PLAN_SMALL),
            weak_match=bool(flags & abi.PLAN_WEAK_MATCH),
        )

    def code(self, coder: int, data: int, length: int, operation: int, receipt: int) -> int:
        """Give a piece of content to a coder."""
        if operation == abi.CODE_DROP:
            self._running.pop(coder, None)
            return receipt
        try:
            coded = self._running[coder].code(ctypes.string_at(data or 0, length), operation)
            if operation == abi.CODE_END:
                del self._running[coder]
            _give(coded)
        except BaseException as error:  # native code is the caller
            self._report(error)
            return _FAILED
        return receipt


def _give(data: bytes) -> None:
    if lib.sk_compression_output(data, len(data)) != abi.OK:
        message = "there is no memory for the coded content of a response"
        raise MemoryError(message)
