"""State folder: what is said where it can't be used."""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import StateError
from pipeline.files import os_reason


def unusable(state_dir: Path, error: OSError) -> StateError:
    """The error of a state folder in which this process can't read or write what it has to."""
    return StateError(
        str(state_dir),
        f"the state folder can't be used ({os_reason(error)})",
        "Name another state_dir, or let this account write there",
    )
