"""Connections of Python's h2 as the clients of these tests have them."""

from __future__ import annotations

import h2.config
import h2.connection
import h2.events


class _OpenUntilItEnds(h2.connection.H2ConnectionStateMachine):
    """A connection whose streams go on after GOAWAY (RFC 9113 section 6.8), which the library takes for its end."""

    def process_input(self, input_: h2.connection.ConnectionInputs) -> list[h2.events.Event]:
        return [] if input_ is h2.connection.ConnectionInputs.RECV_GOAWAY else super().process_input(input_)


def client_connection(*, encoding: str | None, strict: bool) -> h2.connection.H2Connection:
    """Return the client's end.

    Args:
        encoding: of fields, or None for bytes.
        strict: whether requests are checked before they are sent.

    """
    config = h2.config.H2Configuration(
        client_side=True, header_encoding=encoding, validate_outbound_headers=strict, normalize_outbound_headers=strict
    )
    connection = h2.connection.H2Connection(config)
    connection.state_machine = _OpenUntilItEnds()
    return connection
