"""A dsn that is none is refused in words, which do not repeat what may be a password."""

from __future__ import annotations

import pytest

pytest.importorskip("psycopg", reason="psycopg is not installed (the extra 'cluster')")

from pipeline.cluster.database import Database
from pipeline.errors import StateError


@pytest.mark.parametrize("dsn", ["geheim", "host=h password='geheim", "geheim = x"])
def test_it_is_refused_in_words(dsn: str) -> None:
    with pytest.raises(StateError, match="no connection string") as refused:
        Database(dsn, "test").run(lambda _: None)
    assert "geheim" not in str(refused.value)
