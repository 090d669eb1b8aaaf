"""Which coding a client wants (RFC 9110 section 12.5.3), and what the head of a response says then."""

from __future__ import annotations

from typing import Any, Optional

import pytest

from socketify.wire.content_codings import accepted_codings, choose_coding, plan_head

CODINGS = ("zstd", "br", "gzip")


@pytest.mark.parametrize(
    ("field", "coding", "refuses_identity"),
    [
        (None, None, False),
        ("", None, False),
        ("gzip", "gzip", False),
        ("GZip ", "gzip", False),
        ("x-gzip", "gzip", False),
        ("deflate", None, False),
        ("gzip, deflate, br, zstd", "zstd", False),
        ("gzip, br;q=0.9, zstd;q=0.8", "gzip", False),
        ("gzip;q=0.5, br;Q = 0.501", "br", False),
        ("gzip;q=0", None, False),
        ("gzip;q=0.000, br;q=0.001", "br", False),
        ("*", "zstd", False),
        ("*;q=0", None, True),
        ("*;q=0, gzip", "gzip", True),
        ("zstd;q=0, *", "br", False),
        ("gzip;q=0.5, *;q=0.4", "gzip", False),
        ("identity", None, False),
        ("identity, gzip", "gzip", False),
        ("identity;q=0.9, gzip;q=0.8", None, False),
        ("identity;q=0", None, True),
        ("identity;q=0, gzip", "gzip", True),
        ("identity;q=0.1, *;q=0, br", "br", False),
        ("gzip;q=1.000", "gzip", False),
        # What is no weight is none.
        ("gzip;q=2", "gzip", False),
        ("gzip;level=3", "gzip", False),
        ("gzip, gzip;q=0", "gzip", False),
        (",, gzip ,,", "gzip", False),
    ],
)
def test_the_coding_that_a_client_prefers(field: Optional[str], coding: Optional[str], refuses_identity: bool) -> None:
    assert choose_coding(field, CODINGS) == (coding, refuses_identity)


def test_codings_that_are_not_there_are_not_chosen() -> None:
    assert choose_coding("br, gzip;q=0.1", ("gzip",)) == ("gzip", False)
    assert accepted_codings("br, *;q=0.5, gzip;q=0", CODINGS) == {"zstd", "br"}


def planned(
    *fields: str, accepts: str = "gzip", status: str = "200 OK", **more: Any
) -> Optional[tuple[list[str], Optional[str]]]:
    """Return the fields of the planned head, and the coding."""
    lines = [status]
    for field in fields:
        lines += field.split(": ", 1)
    head = plan_head("\n".join(lines).encode(), accepts, CODINGS, lambda kind: kind.startswith("text/"), **more)
    if head is None:
        return None
    parts = head.block.decode().split("\n")
    assert parts[0] == status
    return [f"{name}: {value}" for name, value in zip(parts[1::2], parts[2::2])], head.coding


TEXT = "Content-Type: text/plain"
CODED = [TEXT, "Content-Encoding: gzip", "Vary: Accept-Encoding"]


def test_content_that_is_coded() -> None:
    assert planned(TEXT) == (CODED, "gzip")
    assert planned(TEXT, "Content-Length: 5", "accept-ranges: bytes") == (CODED, "gzip")
    assert planned(TEXT, status="404 Not Found") == (CODED, "gzip")
    assert planned(TEXT, 'ETag: W/"a"') == ([TEXT, 'ETag: W/"a"', *CODED[1:]], "gzip")
    assert planned(TEXT, 'etag: "a"') == ([TEXT, 'etag: W/"a"', *CODED[1:]], "gzip")


def test_content_that_could_be_coded_varies() -> None:
    assert planned(TEXT, accepts="") == ([TEXT, "Vary: Accept-Encoding"], None)
    assert planned(TEXT, "Vary: Origin", accepts="") == ([TEXT, "Vary: Origin", "Vary: Accept-Encoding"], None)
    assert planned(TEXT, "vary: Origin, ACCEPT-ENCODING", accepts="") is None
    assert planned(TEXT, "Vary: *", accepts="") is None
    assert planned(TEXT, "Vary: *") == ([TEXT, "Vary: *", "Content-Encoding: gzip"], "gzip")
    # The tag is that of the content as it is.
    assert planned(TEXT, 'ETag: "a"', accepts="") == ([TEXT, 'ETag: "a"', "Vary: Accept-Encoding"], None)


@pytest.mark.parametrize(
    "field",
    [
        "Content-Encoding: br",
        "content-encoding: gzip, br",
        "Cache-Control: max-age=1, No-Transform",
        "Content-Range: bytes 0-1/2",
        "Content-Digest: sha-256=:AA==:",
        "Repr-Digest: sha-256=:AA==:",
        "Content-MD5: AA==",
    ],
)
def test_content_that_must_stay_as_it_is(field: str) -> None:
    assert planned(TEXT, field) is None


def test_content_that_is_not_worth_it() -> None:
    assert planned("Content-Type: image/png") is None
    assert planned() is None
    assert planned(TEXT, small=True) is None
    # Unless it cannot be had as it is.
    assert planned(TEXT, small=True, accepts="identity;q=0, gzip") == (CODED, "gzip")
    assert planned("Content-Type: image/png", accepts="*;q=0, gzip;q=0.1") == (["Content-Type: image/png", *CODED[1:]], "gzip")
    assert planned("Content-Type: image/png", accepts="identity;q=0") is None


def test_identity_says_that_it_is_not_coded_and_is_not_sent() -> None:
    assert planned(TEXT, "Content-Encoding: identity", "X: y") == ([TEXT, "X: y"], None)


def test_what_has_not_changed_has_the_tag_of_what_the_client_has() -> None:
    tag, vary = 'ETag: "a"', "Vary: Accept-Encoding"
    assert planned(tag, status="304 Not Modified", weak_match=True) == (['ETag: W/"a"', vary], None)
    assert planned(tag, status="304 Not Modified") == ([tag, vary], None)
    assert planned(tag, vary, status="304 Not Modified") is None
    assert planned(tag, status="304 Not Modified", weak_match=True, accepts="") == ([tag, vary], None)
    assert planned(tag, "Content-Type: image/png", status="304 Not Modified", weak_match=True) is None
    assert planned(status="304 Not Modified") is None
