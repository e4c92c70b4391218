"""Where the real documents are, which do not come with the project."""

from __future__ import annotations

from pathlib import Path

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
