"""Composition root of the sandbox: what `pipeline` needs of it, apart from what brings documents.

The sandbox is an HTTP server, with documents to serve; no other command imports it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

from pipeline.errors import ConfigurationError
from stages.sandbox import (
    Faults,
    Mailbox,
    Served,
    parse_fault,
    read_faults,
    serve_sandbox as serve,
    write_companies,
    write_config,
    write_config_of_all,
    write_manifest,
)
from stages.sources.registry import CONNECTORS, platform_of

__all__ = [
    "ALL_KINDS",
    "Faults",
    "Mailbox",
    "Served",
    "parse_fault",
    "read_faults",
    "serve_platform",
    "serve_sandbox",
    "write_companies",
    "write_config",
    "write_config_of_all",
    "write_manifest",
]

#: The kinds of all platforms that the sandbox can be.
ALL_KINDS = tuple(connector.kind for connector in CONNECTORS)

#: Serves a mailbox as the platform of the first connector.
serve_sandbox = partial(serve, platform=platform_of(CONNECTORS[0]))


def serve_platform(
    kind: str, mailbox: Mailbox, chosen: Mapping[str, str] | None = None, **options: Any
) -> AbstractAsyncContextManager[Any]:
    """Serve a mailbox as the platform of a kind of [[sources]]; options as serve_sandbox().

    chosen: options of the platform itself, by their names. ConfigurationError if there is no such
    kind, or no such option.
    """
    by_kind = {connector.kind: connector for connector in CONNECTORS}
    if kind not in by_kind:
        kinds = ", ".join(by_kind)
        raise ConfigurationError(kind, [f"--platform: there is no such platform; write {kinds}"])
    platform = platform_of(by_kind[kind])
    if chosen:
        platform.choose(chosen)
    return serve(mailbox, platform=platform, **options)
