"""Inputs that go wrong, after what users of comparable programs reported.

They do not come with the project.
"""

from __future__ import annotations

from pathlib import Path

import pytest


def case(*parts: str) -> Path:
    """A file or folder of the cases; the test is skipped where they are not."""
    for folder in Path(__file__).parents:
        if (cases := folder / "shared" / "cases").is_dir():
            return cases.joinpath(*parts)
    pytest.skip("the cases of public reports are not here: no folder shared/cases")
