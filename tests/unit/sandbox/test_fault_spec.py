"""Faults as a script or an option tells them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.errors import ConfigurationError
from stages.sandbox import FaultSpec, parse_fault, read_faults

pytestmark = pytest.mark.anyio


def script(folder: Path, name: str, text: str) -> Sequence[FaultSpec]:
    path = folder / name
    path.write_text(text)
    return read_faults(path)


def test_a_script_of_faults_is_read(tmp_path: Path) -> None:
    planned = [FaultSpec("reset", rate=0.5, after=2), FaultSpec("error", on="list", each=1)]
    toml = '[[faults]]\nname = "reset"\nrate = 0.5\nafter = 2\n'
    toml += '[[faults]]\nname = "error"\non = "list"\neach = 1\n'
    assert script(tmp_path, "a.toml", toml) == planned
    text = '{"faults": [{"name": "reset", "rate": 0.5, "after": 2},'
    text += ' {"name": "error", "on": "list", "each": 1}]}'
    assert script(tmp_path, "a.json", text) == planned
    assert parse_fault("reset=0.5") == FaultSpec("reset", rate=0.5)
    assert parse_fault("reset") == FaultSpec("reset")
    assert FaultSpec("reset").until == math.inf


@pytest.mark.parametrize(
    "text", ["[[faults]]\nname = 'rest'", "[[faults]]", "x", "[[faults]]\nname='reset'\nrate=2"]
)
def test_a_script_that_is_wrong_is_said(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError, match="--faults: "):
        script(tmp_path, "a.toml", text)


@pytest.mark.parametrize("text", ["rest", "reset=2", "reset=often"])
def test_a_fault_that_is_wrong_is_said(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--fault: "):
        parse_fault(text)
