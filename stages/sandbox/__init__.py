"""The sandbox: a Billtobox mailbox on this machine, for trials, tests and benchmarks."""

from __future__ import annotations

from stages.sandbox.configuration import write_config
from stages.sandbox.journal import write_manifest
from stages.sandbox.mailbox import Mailbox
from stages.sandbox.server import Sandbox, serve_sandbox

__all__ = ["Mailbox", "Sandbox", "serve_sandbox", "write_config", "write_manifest"]
