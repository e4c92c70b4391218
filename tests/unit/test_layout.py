"""The engine knows no invoice: it meets the stages at one place only."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


def test_the_engine_meets_the_stages_at_one_place() -> None:
    meeting = {
        path.name for path in (ROOT / "pipeline").rglob("*.py") if "stages" in imported(path)
    }
    assert meeting == {"wiring.py"}


def test_the_lowest_versions_that_are_tried_are_those_that_are_allowed() -> None:
    locked = (ROOT / "requirements-lowest.txt").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    tried = dict(re.findall(r"(?m)^([a-z0-9-]+)==([0-9.]+)", locked))
    for allowed in project["dependencies"]:
        name, version = allowed.split(">=")
        assert f"{tried[name]}.".startswith(f"{version}.")
