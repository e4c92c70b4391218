"""The sandbox: a platform with a mailbox on this machine, for trials, tests and benchmarks."""

from __future__ import annotations

from stages.sandbox.configuration import Served, write_companies, write_config, write_config_of_all
from stages.sandbox.fault_injection import Faults, parse_fault, read_faults
from stages.sandbox.fault_spec import FaultSpec
from stages.sandbox.journal import write_manifest
from stages.sandbox.mailbox import Mailbox
from stages.sandbox.platform import Sandbox
from stages.sandbox.server import serve_sandbox
from stages.sandbox.tokens import IssuerRules

__all__ = [
    "FaultSpec",
    "Faults",
    "IssuerRules",
    "Mailbox",
    "Sandbox",
    "Served",
    "parse_fault",
    "read_faults",
    "serve_sandbox",
    "write_companies",
    "write_config",
    "write_config_of_all",
    "write_manifest",
]
