"""What all tests share: the event loop, the patience of hypothesis, and the real documents."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

CORPUS = Path(__file__).parents[2] / "shared" / "corpus"

# How long an example takes says how busy the machine is, and nothing of the example.
settings.register_profile(
    "patient", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("patient")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of real documents, which does not come with the project."""
    if not CORPUS.is_dir():
        pytest.skip(f"the real documents are not here: no folder {CORPUS.parent.name}/corpus")
    return CORPUS
