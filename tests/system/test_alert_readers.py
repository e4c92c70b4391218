"""Each receiver gets alerts, recoveries, summaries and trials in its own language."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path
from typing import Any

import anyio
import pytest
from msgspec import structs

from pipeline.alerts.command import try_all
from pipeline.alerts.runner import Runner, World
from pipeline.alerts.settings import AlertSettings, MailSettings, WebhookSettings
from pipeline.alerts.store import Store
from pipeline.health.model import Health
from pipeline.ledger.ledger import open_ledger
from tests.helpers.alerting import COMPANIES, DAY, MINUTE, Simulation
from tests.helpers.receivers import MailReceiver, WebReceiver, mail_receiving, receiving

pytestmark = pytest.mark.anyio

PATIENCE = 60


def settings_of(web: WebReceiver, mails: MailReceiver) -> AlertSettings:
    """Webhooks in Dutch (as [alerts] says), French and English, and mail in French."""
    return AlertSettings(
        language="nl",
        mail=MailSettings(
            "127.0.0.1", "a@example.be", ("b@example.be",), mails.port, "plain", language="fr"
        ),
        webhooks=(
            WebhookSettings("nl", f"{web.url}nl"),
            WebhookSettings("fr", f"{web.url}fr", language="fr"),
            WebhookSettings("en", f"{web.url}en", language="en"),
            WebhookSettings("slack", f"{web.url}slack", shape="slack"),
            WebhookSettings("teams", f"{web.url}teams", shape="teams"),
        ),
        summary="daily",
        name="Kantoor",
    )


def latest(web: WebReceiver, path: str) -> Any:
    return [one.json for one in web.calls if one.path == f"/{path}"][-1]


async def test_a_trouble_and_its_end_in_three_languages(tmp_path: Path) -> None:
    it = Simulation()
    store = Store(tmp_path / "alerts", it.now)

    async def health() -> Health:
        return it.health()

    async def all_sent() -> None:
        with anyio.fail_after(PATIENCE):
            while store.state.outbox:
                await anyio.sleep(0.01)

    async with (
        receiving() as web,
        mail_receiving() as mails,
        open_ledger(tmp_path / "ledger.sqlite"),
    ):
        world = World(health, tmp_path / "alerts", tmp_path / "ledger.sqlite", lambda: it.now, UTC)
        settings = settings_of(web, mails)
        runner = Runner(settings, "Kantoor", lambda: COMPANIES, store, world)
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: runner.run(is_start=True))
            it.sources["box"] = it.trouble(
                "only 1,234 of 5,678,000 bytes have arrived", "Check the address in [[sources]]"
            )
            it.now += 11 * MINUTE
            await runner.look()
            await all_sent()
            dutch, french, english = (latest(web, code) for code in ("nl", "fr", "en"))
            assert (dutch["language"], french["language"], english["language"]) == (
                "nl",
                "fr",
                "en",
            )
            assert dutch["title"] == "Kantoor: bron box kan niet worden gelezen"
            assert dutch["text"] == (
                "Sinds 1 september 2026 om 09:30: er zijn maar 1.234 van de 5.678.000 bytes"
                " aangekomen. De documenten wachten en er gaat er geen verloren."
            )
            assert dutch["remedy"] == "Kijk het adres in [[sources]] na."
            assert french["subject"] == "la source box ne peut pas être lue"
            assert "1er septembre 2026 à 09:30 : seuls 1\u202f234 octets sur" in french["text"]
            assert english["text"].startswith("Since 2026-09-01 09:30: only 1,234 of")
            # What programs read is the same in all of them.
            for name in ("id", "incident", "cause", "state", "at", "machine"):
                assert dutch[name] == french[name] == english[name]
            assert "bron box kan niet worden gelezen" in latest(web, "slack")["text"]
            assert "Kijk het adres" in str(latest(web, "teams"))
            (mail,) = mails.mails
            assert mail["Subject"] == "[synqup] Kantoor: la source box ne peut pas être lue"
            assert mail["Content-Language"] == "fr"
            assert "Vérifiez l'adresse dans [[sources]]." in mail.get_content()
            assert "1er septembre 2026 à 09:30" in mail.get_content()

            it.sources["box"] = None
            it.now += 6 * MINUTE
            await runner.look()
            await all_sent()
            assert latest(web, "nl")["subject"] == "bron box kan weer worden gelezen"
            assert mails.mails[-1]["In-Reply-To"] == mail["Message-ID"]

            it.now += DAY
            await runner.look()
            await all_sent()
            assert latest(web, "nl")["cause"] == "summary"
            assert latest(web, "nl")["text"] == "Alles werkt."
            assert latest(web, "fr")["details"][-1].endswith("sur le disque du dossier d'état")
            group.cancel_scope.cancel()


async def test_an_edit_of_the_language_counts_from_the_next_message_on(tmp_path: Path) -> None:
    it = Simulation()
    it.sources["box"] = it.trouble("the source does not answer")
    it.now += 11 * MINUTE
    store = Store(tmp_path / "alerts", it.now)

    async def health() -> Health:
        return it.health()

    async with receiving() as web, mail_receiving() as mails:
        settings = structs.replace(settings_of(web, mails), mail=None)
        world = World(health, tmp_path / "alerts", tmp_path / "ledger.sqlite", lambda: it.now, UTC)
        runner = Runner(settings, "Kantoor", lambda: COMPANIES, store, world)
        await runner.look()
        # Another process with other settings sends what was said in the language before.
        kept = Store(tmp_path / "alerts", it.now)
        kept.load()
        languages = {one.message.language for one in kept.state.outbox}
        assert languages == {"nl", "fr", "en"}
        assert len({one.message.id for one in kept.state.outbox}) == 1


async def test_a_trial_is_in_the_language_of_each_way() -> None:
    async with receiving() as web, mail_receiving() as mails:
        tried = await try_all(settings_of(web, mails))
        assert all(one.ok for one in tried)
        assert latest(web, "nl")["title"] == "Kantoor: dit is een test"
        assert latest(web, "en")["subject"] == "this is a test"
        assert mails.mails[0]["Subject"] == "[synqup] Kantoor: ceci est un test"
