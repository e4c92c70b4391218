"""What all tests share: the event loop, and the real documents."""

from __future__ import annotations

from pathlib import Path

import pytest

CORPUS = Path(__file__).parents[2] / "shared" / "corpus"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of real documents, which does not come with the project."""
    if not CORPUS.is_dir():
        pytest.skip(f"the real documents are not here: no folder {CORPUS.parent.name}/corpus")
    return CORPUS
