"""The flags about compression of responses."""

from __future__ import annotations

import argparse
from typing import Any, Callable, Union

from ..core.coders import LEVELS
from ..core.response_compression import ResponseCompression

_USUAL = ResponseCompression()
_PREFIX = "compress_"


def _checked(name: str, convert: Callable[[str], Any] = str) -> Callable[[str], Any]:
    """Make what reads a flag, by the check of the option that it stands for."""

    def read(text: str) -> Any:
        try:
            value = convert(text)
        except ValueError:
            message = f"must be an int, not {text!r}"
            raise argparse.ArgumentTypeError(message) from None
        try:
            ResponseCompression(**{name: value})
        except (ValueError, ImportError) as error:
            raise argparse.ArgumentTypeError(str(error)) from None
        return value

    return read


def add_compression(parser: argparse.ArgumentParser, boolean: Callable[[str], bool]) -> None:
    """Add the flags.

    Args:
        parser: gets them.
        boolean: reads True and False.

    """
    add = parser.add_argument_group("compression of responses").add_argument
    add(
        "--compress",
        type=boolean,
        nargs="?",
        const=True,
        default=False,
        metavar="BOOL",
        help="compress responses for clients that accept it (default: %(default)s)",
    )
    add(
        "--compress-codings",
        type=_checked("codings"),
        metavar="LIST",
        help="of zstd, br and gzip, the favourite first (default: those that are installed)",
    )
    add("--compress-types", type=_checked("media_types"), metavar="LIST", help="as text/*,application/json (default: text)")
    add(
        "--compress-minimum-size",
        type=_checked("minimum_size", int),
        metavar="BYTES",
        help=f"shorter ones stay as they are (default: {_USUAL.minimum_size})",
    )
    for coding, (least, most) in LEVELS.items():
        add(
            f"--compress-{coding}-level",
            type=_checked(f"{coding}_level", int),
            metavar="N",
            help=f"from {least} to {most} (default: {_USUAL.level(coding)})",
        )


def check_compression(parser: argparse.ArgumentParser, settings: argparse.Namespace) -> None:
    """Exit where it is told how to compress, and not to do it."""
    for name, value in vars(settings).items():
        if name.startswith(_PREFIX) and value is not None and not settings.compress:
            parser.error(f"--{name.replace('_', '-')} needs --compress")


def compression_of(settings: argparse.Namespace) -> Union[bool, ResponseCompression]:
    """Return the option of an app."""
    if not settings.compress:
        return False
    names = {"types": "media_types"}
    given = {
        names.get(name[len(_PREFIX) :], name[len(_PREFIX) :]): value
        for name, value in vars(settings).items()
        if name.startswith(_PREFIX) and value is not None
    }
    return ResponseCompression(**given)
