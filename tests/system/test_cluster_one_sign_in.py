"""A source with the sign-in of a person is divided among nodes; its platform sees one sign-in."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from msgspec import structs

pytest.importorskip("procrastinate", reason="procrastinate is not installed (the extra 'cluster')")

from pipeline.app import unit_poller
from pipeline.cluster.database import Database
from pipeline.cluster.slices import slices
from tests.helpers.clustering import rows
from tests.helpers.services import until, watched
from tests.helpers.trial import Trial, trial
from tests.helpers.two_nodes import two_nodes

pytestmark = [pytest.mark.slow, pytest.mark.anyio]

COMPANIES = 6


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part for each company."""
    monkeypatch.setattr(unit_poller, "slices", partial(slices, most=1))


def strict(it: Trial, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the issuer end a sign-in whose refresh token comes twice; those that come, in order."""
    tokens, sent = it.sandbox.issuer, list[str]()
    tokens.rules = structs.replace(tokens.rules, revokes_reused=True)
    answer = tokens.answer

    def noted(form: Mapping[str, Any]) -> web.Response:
        sent.append(str(form.get("refresh_token")))
        return answer(form)

    monkeypatch.setattr(tokens, "answer", noted)
    return sent


async def test_the_nodes_share_its_parts_and_its_tokens(
    tmp_path: Path, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(postgres, "test")
    async with trial(tmp_path, documents=30, companies=COMPANIES) as it:
        sent = strict(it, monkeypatch)
        (tmp_path / "refresh").write_text(it.sandbox.refresh_token)
        config = watched(it.config('refresh_token = { file = "refresh" }\n'), interval=0.3)
        async with two_nodes(config, tmp_path, postgres):
            polled = set[str]()

            def both_have_polled() -> bool:
                polled.update(row[0] for row in rows(database, "SELECT node FROM cluster_units"))
                return {"n1", "n2"} <= polled

            await until(lambda: rows(database, "SELECT to_regclass('cluster_units')")[0][0])
            await until(both_have_polled)
            await until(lambda: it.delivered() == it.held())
            assert rows(database, "SELECT count(*) FROM cluster_units") == [(COMPANIES,)]
            assert len(sent) == 1
            # All access tokens end at once, and both nodes find that out.
            it.sandbox.issuer.revoke()
            it.mailbox.grow(12)
            polled.clear()
            await until(lambda: it.delivered() == it.held())
            await until(both_have_polled)
        assert len(sent) == 2
        assert len(set(sent)) == 2
        assert rows(database, "SELECT count(*) FROM cluster_units WHERE failures > 0") == [(0,)]
    database.close()
