"""Alerts in the language of their reader, with the dates, numbers and sizes that he is used to."""

from __future__ import annotations

import pytest
from msgspec import json, structs

from pipeline.alerts.facts import Delivered
from pipeline.alerts.memory import Gathering
from pipeline.alerts.message import News
from pipeline.alerts.saying import said
from pipeline.alerts.settings import AlertSettings
from pipeline.language.texts import Text
from tests.helpers.alerting import DAY, HOUR, LANGUAGES, MINUTE, Simulation

LABEL = "purchase invoice 2026/17 (id 44)"


def test_a_source_and_its_recovery_in_dutch() -> None:
    it = Simulation(language="nl")
    it.sources["box"] = it.trouble(
        "the source answered 503: Busy", "Check the address in [[sources]]"
    )
    (begun,) = it.run(HOUR)
    assert begun.language == "nl"
    assert begun.subject == "bron box kan niet worden gelezen"
    assert begun.text == (
        "Sinds 1 september 2026 om 09:30: de bron antwoordde 503: Busy."
        " De documenten wachten en er gaat er geen verloren."
    )
    assert begun.remedy == "Kijk het adres in [[sources]] na."
    it.sources["box"] = None
    (over,) = it.run(HOUR)
    assert over.subject == "bron box kan weer worden gelezen"
    assert over.text == "Ze kon niet worden gelezen sinds 1 september 2026 om 09:30."
    assert over.incident == begun.incident


def test_several_folders_in_french() -> None:
    it = Simulation(language="fr", folders=[f"/srv/{n}" for n in range(1200)])
    it.folders = dict.fromkeys(it.folders, it.trouble("the system says: Permission denied"))
    (begun,) = it.run(HOUR)
    assert begun.subject.replace("\u202f", " ") == "1 200 dossiers n'acceptent aucun document"
    assert "Le premier depuis le 1er septembre 2026 à 09:30 : le système indique" in begun.text
    assert begun.details[0] == "/srv/0 : le système indique : accès refusé"
    assert begun.details[-1].replace("\u202f", " ") == "et 1 190 autres"


@pytest.mark.parametrize(
    ("language", "lines"),
    [
        ("nl", ("de statusmap: nog 1,5 GB vrij", "/srv/a: nog 1,5 GB vrij")),
        ("fr", ("le dossier d'état : 1,5 Go libres", "/srv/a : 1,5 Go libres")),
        ("en", ("the state folder: 1.5 GB free", "/srv/a: 1.5 GB free")),
    ],
)
def test_sizes_and_what_the_state_folder_is_called(language: str, lines: tuple[str, ...]) -> None:
    it = Simulation(folders=["/srv/a"], language=language)
    it.free = 1_500_000_000
    assert it.run(HOUR)[0].details == lines


@pytest.mark.parametrize(
    ("language", "line"),
    [
        (
            "nl",
            (
                "aankoopfactuur 2026/17 (id 44): het document kan niet worden afgeleverd, hoe vaak"
                " het ook wordt geprobeerd. Vraag de afzender om het opnieuw te sturen."
            ),
        ),
        (
            "fr",
            (
                "facture d'achat 2026/17 (id 44) : le document ne peut pas être livré, quel que"
                " soit le nombre d'essais. Demandez à l'expéditeur de le renvoyer."
            ),
        ),
        (
            "en",
            (
                f"{LABEL}: the document can't be delivered, however often it is tried."
                " Ask its sender to send it again."
            ),
        ),
    ],
)
def test_quarantined_documents_with_their_reasons(language: str, line: str) -> None:
    reason = (
        f"{LABEL}: the document can't be delivered, however often it is tried."
        " Ask its sender to send it again."
    )
    it = Simulation(language=language)
    it.newly_quarantined, it.quarantined = [(LABEL, reason)], 1
    (told,) = it.run(HOUR)
    assert told.details == (line,)


def test_what_an_earlier_version_gathered_is_told_as_it_is() -> None:
    it = Simulation(language="nl")
    kept = {"until": it.now, "began": it.now, "count": 1, "few": ["invoice 1: it is odd"]}
    gathered = json.decode(json.encode(kept), type=Gathering)
    it.memory = structs.replace(it.memory, quarantine=gathered)
    it.quarantined = 1
    assert it.run(HOUR)[0].details == ("invoice 1: it is odd",)


@pytest.mark.parametrize(
    ("language", "subject", "line"),
    [
        ("nl", "1 document sinds", "Bakkerij Peeters: 1 document (aankoop: 1)"),
        ("fr", "1 document depuis le", "Bakkerij Peeters : 1 document (achats : 1)"),
        ("en", "1 document since", "Bakkerij Peeters: 1 document (1 purchase)"),
    ],
)
def test_a_summary(language: str, subject: str, line: str) -> None:
    it = Simulation(language=language)
    it.settings = AlertSettings(summary="daily")
    it.delivered = (Delivered("BE0403170701", "purchase", 1),)
    told = it.run(2 * DAY, 30 * MINUTE)[0]
    assert told.subject.startswith(subject)
    assert line in told.details
    assert "2026" in told.subject


def test_an_end_of_a_sign_in_says_its_date_once_more_in_the_readers_way() -> None:
    it = Simulation(language="nl")
    it.sign_in_ends_at = it.now + 10 * DAY
    (told,) = it.run(5 * HOUR)
    assert told.text == (
        "Ze verloopt op 11 september 2026 om 09:30, binnen 14 dagen."
        " Daarna komt er niets meer van deze bron."
    )
    assert told.remedy == "Meld u opnieuw aan: synqup sign-in box"


def test_what_fills_a_text_is_no_template_in_any_language() -> None:
    it = Simulation(sources=["{count} {reason.__class__}"], language="fr")
    it.sources = dict.fromkeys(it.sources, it.trouble("{since}"))
    (told,) = it.run(HOUR)
    assert told.subject == "la source {count} {reason.__class__} ne peut pas être lue"
    assert ": {since}." in told.text


def test_a_trouble_of_no_known_words_is_told_in_english_within_its_sentence() -> None:
    it = Simulation(language="fr")
    it.state = it.trouble("quux", "Frobnicate it")
    (told,) = it.run(HOUR)
    assert "quux" in told.text
    assert told.remedy == "Frobnicate it."


def test_a_subject_is_bounded_and_printable() -> None:
    text = Text("{name}", {"name": "\x1b[31m" + "x" * 5000})
    news = News("1", "1", "test", "notice", 0.0, "office", text, text)
    assert len(said(news, LANGUAGES["nl"]).subject) < 900
    assert said(news, LANGUAGES["nl"]).subject.isprintable()
