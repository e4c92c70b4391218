"""Inputs that go wrong, after what users of comparable programs reported.

They do not come with the project.
"""

from __future__ import annotations

from pathlib import Path

import pytest

CASES = Path(__file__).parents[3] / "shared" / "cases"


def case(folder: str, name: str) -> Path:
    """An input of one of the cases; without them the test is skipped."""
    if not CASES.is_dir():
        pytest.skip(f"the cases are not here: no folder {CASES.parent.name}/{CASES.name}")
    return CASES / folder / name
