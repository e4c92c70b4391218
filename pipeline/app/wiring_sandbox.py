"""Composition root of the sandbox: what `pipeline` needs of it, apart from what brings documents.

The sandbox is an HTTP server, with documents to serve; no other command imports it.
"""

from __future__ import annotations

from functools import partial

from stages.sandbox import (
    Faults,
    Mailbox,
    parse_fault,
    read_faults,
    serve_sandbox as serve,
    write_config,
    write_manifest,
)
from stages.sources.registry import CONNECTORS, wire_of

__all__ = [
    "Faults",
    "Mailbox",
    "parse_fault",
    "read_faults",
    "serve_sandbox",
    "write_config",
    "write_manifest",
]

#: Serves a mailbox as the platform of the first connector.
serve_sandbox = partial(serve, wire=wire_of(CONNECTORS[0]))
