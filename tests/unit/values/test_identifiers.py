"""Enterprise and VAT numbers are known in every spelling, and told when they are wrong."""

from __future__ import annotations

import pytest

from stages.values.identifiers import company_identifier, enterprise_number


@pytest.mark.parametrize(
    "spelling",
    [
        *("BE0403170701", "0403.170.701", "BE 0403.170.701", "403170701", "be-0403-170-701"),
        *("0208:0403170701", "9925:BE0403170701", "BE:CBE0403170701", " 0403 170 701 "),
    ],
)
def test_an_enterprise_number_is_known_in_every_spelling(spelling: str) -> None:
    assert company_identifier(spelling) == "BE0403170701"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0403170702", "wrong check digits"),
        ("BE04031707011", "too few or too many digits"),
        ("FR1", "no enterprise number"),
        ("FR 62 954 506 077", "wrong check digits"),
        ("BE", "no enterprise number"),
        ("Peeters", "no enterprise number"),
        ("", "no enterprise number"),
    ],
)
def test_what_is_wrong_with_a_number_is_said(text: str, said: str) -> None:
    assert enterprise_number(text) is None
    with pytest.raises(ValueError, match=said):
        company_identifier(text)


def test_a_foreign_vat_number_keeps_its_country() -> None:
    assert company_identifier("FR 61 954 506 077") == "FR61954506077"
