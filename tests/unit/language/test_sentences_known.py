"""All that an error can say on the page or in an alert is known in Dutch and French.

Where a sentence is new, the failure says where it is said, and into which files it goes.
"""

from __future__ import annotations

import ast
import errno
import os
import sys
from collections import Counter
from fnmatch import fnmatchcase

import pytest

from pipeline.language.catalogs import SENTENCES, messages
from pipeline.language.codes import DEFAULT, LOCALES
from pipeline.monitor.page.languages import languages
from tests.helpers.imports import ROOT, sources
from tests.helpers.messages import (
    ELSEWHERE,
    PUT_TOGETHER,
    QUIET,
    READ_ALL_THE_SAME,
    sentences,
    skeleton,
    texts_in,
)

TRANSLATED = sorted(set(LOCALES) - {DEFAULT})
FILES = "pipeline/language/locale/{nl,fr}/, in the .po that fits best"
HOW = (
    f"\nsay each in {FILES}, with a name in braces in place of each {{}} (docs/page.md, Languages);"
    "\nor say in tests/helpers/messages.py why nobody reads it there:\n"
)
#: What stays out, one by one.
LEFT_OUT = {text for texts in QUIET.values() for text in texts}


def known(code: str) -> set[str]:
    return {skeleton(id_) for domain in SENTENCES for id_ in messages(code, domain)}


def is_piece(text: str) -> bool:
    return text != text.strip(" ,;")


@pytest.mark.parametrize("code", TRANSLATED)
def test_every_sentence_is_known(code: str) -> None:
    found, catalog = sentences(), known(code)
    assert len(found) > 700
    missing = [
        f"{place}: {text!r}"
        for text, place in found.items()
        if text not in catalog
        and text not in LEFT_OUT
        and text not in PUT_TOGETHER
        and not (is_piece(text) and any(text.strip() in one for one in catalog))
    ]
    assert not missing, HOW + "\n".join(missing)


@pytest.mark.parametrize("code", TRANSLATED)
def test_what_is_put_together_is_known_in_whole(code: str) -> None:
    catalog = known(code)
    wholes = [one for wholes in PUT_TOGETHER.values() for one in wholes]
    missing = [one for one in wholes if one not in catalog]
    assert not missing, HOW + "\n".join(missing)


def test_nothing_is_left_out_that_is_not_said_any_more() -> None:
    found = sentences()
    assert not [one for one in (*LEFT_OUT, *PUT_TOGETHER) if one not in found]
    assert not [one for one, times in Counter(map(str, LEFT_OUT)).items() if times > 1]
    assert not LEFT_OUT & PUT_TOGETHER.keys()


def test_every_file_that_is_left_out_is_there_and_says_why() -> None:
    places = [path.relative_to(ROOT).as_posix() for path in sources("pipeline", "stages").values()]
    assert all(ELSEWHERE.values())
    assert not [one for one in ELSEWHERE if not any(fnmatchcase(it, one) for it in places)]
    assert set(READ_ALL_THE_SAME) <= set(places)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ('raise Rejected(label, f"it is {x}{y} odd", "Mend it.")', ["it is {} odd", "Mend it"]),
        ('why = "no answer" if late else "it broke off"', ["no answer", "it broke off"]),
        ('def f():\n    """Not this one."""\n    return "this one"', ["this one"]),
        ('class E(Rejected):\n    """nor this"""\n\n    reason = "it is odd"', ["it is odd"]),
        ('log.warning("not read by people")', []),
        ("f\"{a} and {b(f'in it {c}')}\"", ["{} and {}", "in it {}"]),
        ('WORDS = {1: ("of a table", None)}', ["of a table"]),
        ('db.execute("SELECT a FROM b")', []),
        ('_("of a catalog of its own")', []),
    ],
)
def test_a_sentence_is_found_wherever_it_stands(source: str, said: list[str]) -> None:
    assert [text for _, text in texts_in(ast.parse(source))] == said


# What a reader sees of whole sentences


NL, FR = (languages()[code] for code in ("nl", "fr"))
SUPPLIER = "the supplier (SellerTradeParty) is Garage Dupont (BE0428759497) by its EndpointID 1"


@pytest.mark.parametrize(
    ("said", "dutch", "french"),
    [
        (
            "it is a web page; it was fetched 4 times",
            "het is een webpagina; het is 4 keer opgehaald",
            "c'est une page web ; il a été relevé 4 fois",
        ),
        (
            (
                "its PDF can't be had for now: the source does not answer by way of the proxy"
                " http://p:1 (h:443: no answer in time)"
            ),
            (
                "de pdf is nu niet te krijgen: de bron antwoordt niet via de proxy http://p:1"
                " (h:443: geen antwoord op tijd)"
            ),
            (
                "son PDF n'est pas disponible pour l'instant : la source ne répond pas par le proxy"
                " http://p:1 (h:443 : pas de réponse à temps)"
            ),
        ),
        (
            f"{SUPPLIER}, and nothing says which of them it is",
            (
                "de leverancier (SellerTradeParty) is Garage Dupont (BE0428759497) volgens"
                " EndpointID 1, en niets zegt welk van de twee het is"
            ),
            (
                "le fournisseur (SellerTradeParty) est Garage Dupont (BE0428759497) d'après"
                " EndpointID 1, et rien ne dit laquelle des deux"
            ),
        ),
        (
            (
                "no party is a configured company by any identifier: supplier Bakkerij"
                " (no identifier), customer unnamed (BE1)"
            ),
            (
                "geen van de partijen is een ingesteld bedrijf: leverancier Bakkerij (geen nummer),"
                " klant zonder naam (BE1)"
            ),
            (
                "aucune des parties n'est une société configurée : fournisseur Bakkerij (aucun"
                " numéro), client sans nom (BE1)"
            ),
        ),
        (
            (
                "it is a PDF without an invoice inside; a.xml in it is a UBL order,"
                " which is no invoice"
            ),
            "het is een pdf zonder factuur erin; a.xml erin is een UBL-bestelling, geen factuur",
            (
                "c'est un PDF sans facture à l'intérieur ; a.xml qu'il contient est une commande"
                " UBL, qui n'est pas une facture"
            ),
        ),
        (
            "it is an answer to Garage (BE1) by Acme: 2026/7 rejected (prices are incorrect)",
            (
                "het is een antwoord aan Garage (BE1) van Acme: 2026/7 geweigerd (de prijzen zijn"
                " onjuist)"
            ),
            "c'est une réponse à Garage (BE1) de Acme : 2026/7 refusé (les prix sont incorrects)",
        ),
        (
            (
                f"{SUPPLIER}, the list calls it purchase of Acme (BE1), and that party has no"
                " identifier, the mailbox is that of Acme (BE1)"
            ),
            (
                "de leverancier (SellerTradeParty) is Garage Dupont (BE0428759497) volgens"
                " EndpointID 1, de lijst noemt het aankoop van Acme (BE1), en die partij heeft geen"
                " nummer, de mailbox is die van Acme (BE1)"
            ),
            (
                "le fournisseur (SellerTradeParty) est Garage Dupont (BE0428759497) d'après"
                " EndpointID 1, la liste dit achat de Acme (BE1), et cette partie n'a pas de"
                " numéro, la boîte est celle de Acme (BE1)"
            ),
        ),
        (
            "documents delivered from the first day to 2026-01-31 to Garage Dupont",
            "documenten van de eerste dag tot 2026-01-31 afgeleverd bij Garage Dupont",
            "documents livrés du premier jour au 2026-01-31 chez Garage Dupont",
        ),
        (
            "credit note 2f3a-11 of 0208:0428759497",
            "creditnota 2f3a-11 van 0208:0428759497",
            "note de crédit 2f3a-11 de 0208:0428759497",
        ),
        (
            (
                "3 of 1,200 documents could not be delivered to Garage Dupont by hand: it is being"
                " worked on"
            ),
            (
                "3 van de 1.200 documenten konden niet met de hand bij Garage Dupont worden gezet:"
                " er wordt aan gewerkt"
            ),
            (
                "3 des 1\u202f200 documents n'ont pas pu être classés à la main chez Garage Dupont"
                " : il est en cours de traitement"
            ),
        ),
    ],
)
def test_whole_sentences(said: str, dutch: str, french: str) -> None:
    assert NL.sentence(said) == dutch
    assert FR.sentence(said) == french


@pytest.mark.parametrize(
    "quoted", ["it is a folder", "source not found", "no answer in time", "the list", "a; b. C"]
)
def test_what_a_platform_says_is_quoted_as_it_is(quoted: str) -> None:
    assert NL.sentence(f"the source answered 404: {quoted}").endswith(f"404: {quoted}")
    said = f"the proxy http://p can't connect to h ({quoted})"
    assert FR.sentence(said) == f"le proxy http://p ne peut pas joindre h ({quoted})"
    assert NL.sentence(f"source {quoted} is paused") == f"bron {quoted} is gepauzeerd"


def test_what_is_not_known_stays_within_what_is() -> None:
    assert NL.sentence("it holds no PDF, and for one quux; it was fetched 4 times") == (
        "het bevat geen pdf, en op de vraag naar een: quux; het is 4 keer opgehaald"
    )
    # What anybody might have said is no sentence of ours, unless the rest is.
    assert NL.sentence("it is quux; it was fetched 4 times") == (
        "it is quux; het is 4 keer opgehaald"
    )
    assert FR.sentence("quux; it is a folder; quuz") == "quux ; c'est un dossier ; quuz"
    assert FR.sentence("quux; quuz") == "quux; quuz"


def test_a_sentence_with_its_subject_or_with_what_the_system_said() -> None:
    assert NL.sentence("another program has it open and keeps it locked (database is locked)") == (
        "een ander programma heeft het open en houdt het vergrendeld (database is locked)"
    )
    assert FR.sentence("the quarantine has no copy of it (invoice 7: it is damaged.)") == (
        "la quarantaine n'en a pas de copie (invoice 7 : il est endommagé.)"
    )
    said = "it holds no PDF, and the platform's arrived damaged 3 times"
    said = f"{said} (the PDF has no end (%%EOF)), and none can be made of the XML"
    assert NL.sentence(f"{said}: the XML is not well-formed (line 1)") == (
        "het bevat geen pdf, en die van het platform kwam 3 keer beschadigd aan (de pdf heeft geen"
        " einde (%%EOF)), en van de XML kan er geen gemaakt worden: de XML is niet welgevormd"
        " (line 1)"
    )


@pytest.mark.parametrize(
    "said",
    [
        "source not found",
        "Make room on the floor that holds it",
        "it is odd",
        "there is no such user",
        "Check your credentials",
        "file is not a database",
    ],
)
def test_what_others_have_said_is_not_half_translated(said: str) -> None:
    assert NL.sentence(said) == said
    assert FR.sentence(said) == said


#: Errors of the system that reach people, as the system of Debian says them.
ERRORS = (
    *("ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH", "ENETDOWN", "EHOSTUNREACH"),
    *("EHOSTDOWN", "EPIPE", "EPERM", "EACCES", "EDQUOT", "ENAMETOOLONG", "EISDIR", "ENOTDIR"),
    *("ENOTEMPTY", "EBUSY", "ENODEV", "ENXIO", "EMFILE", "ESTALE", "ENOTCONN", "EINVAL", "ENOMEM"),
    *("ENOENT", "EEXIST", "ENOSPC", "EROFS", "EIO"),
)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems say other words")
@pytest.mark.parametrize("name", ERRORS)
def test_the_usual_errors_of_the_system_are_known(name: str) -> None:
    said = os.strerror(getattr(errno, name))
    for language in (NL, FR):
        assert language.sentence(said) != said
        assert said not in language.sentence(f"the system says: {said} (/srv/a b)")
        assert "/srv/a b" in language.sentence(f"the system says: {said} (/srv/a b)")
        assert said not in language.sentence(f"the source does not answer (h:443: {said})")
