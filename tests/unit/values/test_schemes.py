"""Which register a number is of, as people and programs call it."""

from __future__ import annotations

import pytest

from stages.values.identity import canonical_number, identifies
from stages.values.schemes import scheme_and_number
from tests.helpers.whose import company, here, is_ours

BELGIAN = company("BE0403170701")
URN = "urn:oasis:names:tc:ebcore:partyid-type:iso6523:0208"


@pytest.mark.parametrize(
    "scheme",
    [
        *(URN, "ISO6523:0208", "ICD:0208", "EAS 0208", "iso6523-actorid-upis:0208", "208"),
        *("BE_VAT", "BE-VAT", "be.vat", "KBO-nummer", "KBO nr.", "Ondernemingsnummer"),
        *("BTW-nummer", "Num\u00e9ro d'entreprise", "Enterprise number", "Unternehmensnummer"),
        *("Banque-Carrefour des Entreprises", "RPR Gent"),
    ],
)
def test_a_belgian_scheme_by_any_name(scheme: str) -> None:
    assert is_ours(BELGIAN, here(scheme, "0403.170.701"))


@pytest.mark.parametrize(
    "value",
    [
        f"{URN}:0403170701",
        *("N\u00b0 TVA BE0403170701", "No. TVA: BE 0403.170.701", "Nr. BE0403170701"),
        *("VAT ID: BE0403170701", "VAT number BE0403170701", "BTW-nummer: BE 0403 170 701"),
        *("USt-IdNr.: BE0403170701", "TVA intracommunautaire BE0403170701"),
        *("Ondernemingsnummer 0403.170.701", "KBO nr. 0403.170.701", "BCE n\u00b0 0403.170.701"),
        *("N\u00b0 d'entreprise : 0403.170.701", "RPR Gent 0403.170.701"),
        *("RPR Antwerpen, afd. Hasselt 0403.170.701", "BE0403170701;", "BE 0403|170|701"),
    ],
)
def test_words_in_front_of_a_number_are_no_part_of_it(value: str) -> None:
    assert is_ours(BELGIAN, here("", value))
    assert is_ours(BELGIAN, here("", value, is_vat=True))
    assert canonical_number("", value) == "BE0403170701"
    assert identifies("", value)


@pytest.mark.parametrize(
    ("scheme", "value"),
    [("EAN13", "5790000435975"), ("EAN.UCC", "5790000435975"), ("", "GLN: 5790000435975")],
)
def test_a_location_number_by_any_name(scheme: str, value: str) -> None:
    assert is_ours(company("BE0999999922", "0088:5790000435975"), here(scheme, value))


@pytest.mark.parametrize(
    ("scheme", "value"),
    [
        ("Enterprise number", "12345678"),  # of another country
        ("", "HRB 12345"),
        ("", "CUST 0403170702"),
        ("", "NO 995 525 828 MVA"),
        ("EM", "nr 1@example.be"),
    ],
)
def test_other_words_stay(scheme: str, value: str) -> None:
    stated, number = scheme_and_number(scheme, value)
    assert stated == scheme.upper()
    assert number[:2] == value.upper()[:2]


@pytest.mark.parametrize(
    ("configured", "scheme", "value"),
    [
        ("KBO nr. 0403.170.701", "0208", "0403170701"),
        ("N\u00b0 TVA BE0403170701", "", "BE0403170701"),
        (f"{URN}:0403170701", "0208", "0403170701"),
        ("GLN 5790000435975", "0088", "5790000435975"),
        ("KvK 57151520", "NL:KVK", "57151520"),
        ("KvK-nummer 57151520", "0106", "57151520"),
        ("SIREN 732 829 320", "0002", "732829320"),
        ("USt-IdNr. DE136695976", "9930", "DE136695976"),
    ],
)
def test_whoever_configures_a_number_may_say_what_it_is(
    configured: str, scheme: str, value: str
) -> None:
    assert is_ours(company("BE0999999922", configured), here(scheme, value))


def test_the_number_of_somebody_else_stays_somebody_else_s() -> None:
    for value in ("KBO nr. 0417.497.106", "BTW-nummer: BE 0417.497.106"):
        assert not is_ours(BELGIAN, here("", value))
