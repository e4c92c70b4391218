"""A configuration file for tests, and what is wrong with another."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import ConfigurationError
from stages.configuration import load_config
from stages.flow import STAGE_NAMES
from stages.settings import Config
from stages.sources.registry import SECTIONS

GOOD = """
[service]
state_dir = "state"
poll_interval = "5m"
[delivery]
purchases  = "out/[enterprise_name]_[enterprise_identifier]/achats"
sales      = "out/[enterprise_name]_[enterprise_identifier]/ventes"
statements = "out/[enterprise_name]_[enterprise_identifier]/coda"
[[sources]]
name = "billtobox"
kind = "billtobox"
url = "https://example.test/v4"
token_url = "https://example.test/token"
client_id = "us"
client_secret = { env = "SYNQUP_BILLTOBOX_SECRET" }
[[companies]]
name = "Bakkerij Peeters"
identifier = "0403.170.701"
accounting_file_id = "PEET01"
source = "billtobox"
"""

SECOND = """
[[companies]]
name = "Garage Dupont"
identifier = "BE0428759497"
source = "billtobox"
"""


def load(folder: Path, text: str) -> Config:
    path = folder / "synqup.toml"
    path.write_text(text, "utf-8")
    return load_config(path, STAGE_NAMES, SECTIONS)


def problems(folder: Path, text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as refused:
        load(folder, text)
    return refused.value.problems
