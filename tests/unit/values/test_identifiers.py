"""Enterprise and VAT numbers are known in every spelling, and told when they are wrong."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from stages.classify import classify_file
from stages.kind import Kind
from stages.values.identifiers import compact, company_identifier, enterprise_number
from tests.helpers.cases import case


@pytest.mark.parametrize(
    "spelling",
    [
        *("BE0403170701", "0403.170.701", "BE 0403.170.701", "403170701", "be-0403-170-701"),
        *("0208:0403170701", "9925:BE0403170701", "BE:CBE0403170701", " 0403 170 701 "),
        *("BE 0403.170.701 RPR Gent", "RPM 0403.170.701", "BTW-nr.: BE 0403.170.701"),
        *("(BE) 0403170701", "0403\u25cf170\u25cf701", "0403170701 [KBO]", "ON 0403.170.701"),
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


@given(
    st.text(st.characters(categories=["L", "N"]), max_size=20),
    st.lists(
        st.tuples(
            st.integers(0, 20),
            st.characters(categories=["Cf", "Pd", "Zs", "Pc"])
            | st.sampled_from(".\u00b7\u2024\u2219/'"),
        ),
        max_size=5,
    ),
)
def test_punctuation_and_invisible_signs_change_nothing(
    number: str, signs: list[tuple[int, str]]
) -> None:
    bare = compact(number)
    spelt = bare
    for at, sign in signs:
        spelt = spelt[:at] + sign + spelt[at:]
    assert compact(spelt) == bare


@given(st.text())
def test_a_compact_number_stays_as_it_is(text: str) -> None:
    assert compact(compact(text)) == compact(text)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *(("BE\u200b0403170701", "BE0403170701"), ("\u202a0403.170.701\u202c", "0403170701")),
        *(
            ("BE 0403\u2011170\u2011701", "BE0403170701"),
            ("BE 0403\u00b7170\u00b7701", "BE0403170701"),
        ),
        *(("\uff22\uff25\uff10\uff14", "BE04"), ("\u0660\u0664\u0660\u0663", "0403")),
        *(("0403\u2212170\u00ad701", "0403170701"), ("be_0403'170'701", "BE0403170701")),
        *(
            ("a_b@c-d.be", "A_B@CDBE"),
            ("201/113/40209", "20111340209"),
            ("0403,170,701", "0403170701"),
        ),
    ],
)
def test_one_number_in_any_signs(text: str, number: str) -> None:
    assert compact(text) == number


@pytest.mark.parametrize(
    "name", ["bidi.xml", "middle-dot.xml", "non-breaking-hyphen.xml", "zero-width.xml"]
)
def test_a_company_is_found_by_a_number_with_signs_in_it(name: str) -> None:
    found = classify_file(case("12-number-with-invisible-signs", name), "BE0403170701")
    assert found.kind is Kind.PURCHASE
