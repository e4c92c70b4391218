"""Lines of the log, for tests of what writes and reads it."""

from __future__ import annotations

import time
from pathlib import Path

from pipeline.records import DocumentRecord


def a_record(
    document: str = "purchase invoice 7", *, at: float | None = None, id_: str = "7"
) -> DocumentRecord:
    return DocumentRecord(
        timestamp=time.time() if at is None else at,
        level="info",
        source="box",
        id=id_,
        document=document,
        company="BE0403170701",
        kind="purchase",
        path=Path("/books/achats/7.xml"),
        sha256="0" * 64,
        seconds=0.25,
    )
