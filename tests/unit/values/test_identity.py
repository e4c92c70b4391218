"""Which values are none, which numbers identify somebody, and of which register they are."""

from __future__ import annotations

import re
from importlib import import_module

import pytest
from hypothesis import assume, given, strategies as st

from stages.values.checks import VAT_MODULES
from stages.values.identifiers import compact
from stages.values.identity import canonical_number, identifies, is_placeholder, number_kind
from stages.values.placeholders import says_none
from tests.helpers.cases import case
from tests.helpers.invoices import invoice

NONE = (
    *(
        "",
        "/",
        "-",
        "--",
        ".",
        "?",
        "x",
        "XXX",
        "xxxxxxxx",
        "_",
        "\u200b",
        "\u2014",
        "0",
        "000",
        "n.a.",
    ),
    *(
        "NA",
        "N/A",
        "n/a.",
        "N. A.",
        "#N/A",
        "n.v.t.",
        "nvt",
        "NVT.",
        "none",
        "None.",
        "null",
        "NIL",
    ),
    *("geen", "Geen BTW-nummer", "aucun", "aucune", "Néant", "keine", "KEINE ANGABE", "nessuno"),
    *("ninguno", "nenhum", "brak", "ingen", "unknown", "onbekend", "inconnu", "unbekannt", "nihil"),
    *("non applicable", "not applicable", "niet van toepassing", "nicht vorhanden", "no aplica"),
    *("TBD", "test", "dummy", "BE", "NL", "BE ", "BE-", "BE0", "BE0000000000", "BE 0000.000.000"),
    *(
        "BE0XXX.XXX.XXX",
        "NL000000000B00",
        "VAT",
        "VAT: none",
        "BTW: n.v.t.",
        "TVA : /",
        "VAT-nr: -",
    ),
    *("0208:", "0208:n/a", "9925:BE", "BE:VAT:none", "0208:0000000000", "GLN: unknown", "exempt"),
    *(
        "iso6523-actorid-upis::0208:0000000000",
        "XX00000000",
        "vrijgesteld",
        "non assujetti",
        "\u043d\u0435\u0442",
    ),
    *("vrijgesteld art. 44", "gem. \u00a7 19 UStG", "TVA non applicable, art. 293 B du CGI"),
    *("Kleinunternehmer", "btw-vrij", "hors TVA", "k.A.", "NOTPROVIDED", "Art. 56bis"),
)
MADE_UP = (
    *("BE0123456749", "1234567894", "BE0000000097", "PL1234567883"),
    *("BE9999999999", "9999999999", "BE0999999999", "11111111", "123456789", "0123456789", "22222"),
    *("BE0123456789", "BE 0123.456.789", "BE1234567890", "987654321", "9876543210", "DE123456789"),
    *("NL123456789B01", "ATU12345678", "NO123456789MVA", "CHE-123.456.789", "0208:1111111111"),
)
REAL = (
    *("BE\u0660\u0664\u0660\u0663\u0661\u0667\u0660\u0667\u0660\u0661", "ART-12345"),
    *("BE0403170701", "0403.170.701", "0700100171", "5790000435975", "10202", "201/113/40209"),
    *("NL820098395B01", "FR61954506077", "HRB 12345", "KREDBEBBXXX", "5493001KJTIIGC8Y1R12"),
    *("04011000-1234512345-06", "info@geen.be", "1", "1234512345", "CUST-0001", "ESX5253868R"),
    *("IE6433435F", "GB980780684", "BE0000000100"),
)


@st.composite
def belgian(draw: st.DrawFn) -> str:
    base = draw(st.integers(2_000_000, 19_999_999))
    return f"{base:08}{97 - base % 97:02}"


@pytest.mark.parametrize("value", [*NONE, *MADE_UP])
def test_what_identifies_nobody(value: str) -> None:
    assert is_placeholder(value)
    for scheme, country, is_vat in (("", "", False), ("0208", "BE", False), ("", "BE", True)):
        assert not identifies(scheme, value, country, is_vat)


@pytest.mark.parametrize("value", NONE)
def test_what_says_none(value: str) -> None:
    assert says_none(value)


@pytest.mark.parametrize("value", MADE_UP)
def test_a_made_up_number_says_something(value: str) -> None:
    assert not says_none(value), "whoever configures it means it"


@pytest.mark.parametrize("value", REAL)
def test_a_real_number_is_never_none(value: str) -> None:
    assert not is_placeholder(value)


@given(
    belgian(),
    st.sampled_from(["{}", "BE{}", "BE {}", "0208:{}", "9925:BE{}", "BTW BE {}", "VAT: BE{}"]),
)
def test_a_belgian_number_is_never_none(number: str, spelling: str) -> None:
    assume(len(set(number.lstrip("0"))) > 1)
    text = spelling.format(number)
    assert not is_placeholder(text)
    assert identifies("", text, "BE")
    assert identifies("", text, "BE", is_vat=True)
    assert canonical_number("", text, "BE") == f"BE{number}"
    assert canonical_number("", text, "BE", is_vat=True) == f"BE{number}"


@given(belgian(), st.integers(1, 96), st.sampled_from(["0208", "9925", "VA", "BE:VAT", ""]))
def test_a_belgian_number_with_wrong_check_digits_identifies_nobody(
    number: str, error: int, scheme: str
) -> None:
    wrong = f"{number[:8]}{(int(number[8:]) + error) % 97 or 97:02}"
    assume(wrong != number)
    assert not identifies(scheme, f"BE{wrong}", "BE")


@pytest.mark.parametrize(
    ("scheme", "value"),
    [
        *(("", "ATU13585627"), ("", "DE136695976"), ("", "FR61954506077"), ("", "NL004495445B01")),
        *(("", "LU15027442"), ("", "IT00743110157"), ("", "ESB58378431"), ("", "PL8567346215")),
        *(("", "DK13585628"), ("", "SE123456789701"), ("", "FI20774740"), ("", "EL094259216")),
        *(("", "GR094259216"), ("", "PT501964843"), ("", "IE6433435F"), ("", "GB980780684")),
        *(("", "CHE-100.155.212 MWST"), ("", "NO995525828MVA"), ("", "RO18547290")),
        *(("9930", "136695976"), ("VA", "DE136695976"), ("FR:VAT", "61954506077")),
        *(("0002", "732829320"), ("SIREN", "552 008 443"), ("0009", "73282932000074")),
        *(("0007", "556012-5790"), ("0088", "5790000435975"), ("0060", "150483782")),
        *(
            ("0106", "17014545"),
            ("0184", "13585628"),
            ("0184", "DK13585628"),
            ("0192", "988077917"),
        ),
        *(("0199", "213800KUD8LAJWSQ9D15"), ("0204", "991-03730-19"), ("0216", "003720774740")),
        *(
            ("0204", "04011000-1234512345-06"),
            ("0037", "00372077474012345"),
            ("0211", "IT00743110157"),
        ),
        *(
            ("0210", "00743110157"),
            ("0210", "RCCMNL83S18D969H"),
            ("0225", "732829320_73282932000074"),
        ),
        *(("", "HRB 12346"), ("", "CUST-0001"), ("0201", "UFXYZA"), ("EL:VAT", "094259216")),
    ],
)
def test_what_identifies(scheme: str, value: str) -> None:
    assert identifies(scheme, value)


@pytest.mark.parametrize(
    ("scheme", "value"),
    [
        *(("", "ATU13585628"), ("", "DE136695977"), ("", "FR61954506078"), ("", "NO995525829MVA")),
        *(("0002", "732829321"), ("0009", "73282932000075"), ("0088", "5790000435976")),
        *(("0088", "12345"), ("0199", "213800KUD8LAJWSQ9D16"), ("0204", "991-03730-18")),
        *(
            ("0184", "13585629"),
            ("0106", "1701454"),
            ("0060", "15048378"),
            ("0216", "003720774741"),
        ),
        *(("EM", "billing-1@example.be"), ("EM", "billing12345"), ("", "jan.peeters1@example.be")),
        *(
            ("", "gem. §19 UStG"),
            ("", "1234"),
            ("", "ABCDEF"),
            ("", "A-1"),
            ("VA", "BE0403170702"),
            ("9930", "136695977"),
        ),
    ],
)
def test_what_does_not_identify(scheme: str, value: str) -> None:
    assert not identifies(scheme, value)


def test_a_vat_number_without_its_country_is_checked_by_that_of_the_party() -> None:
    assert identifies("", "136695976", "DE", is_vat=True)
    assert identifies("VA", "136695976", "de")
    assert not identifies("", "136695977", "DE", is_vat=True)
    assert not identifies("", "0403170702", "BE")


@pytest.mark.parametrize(
    ("scheme", "value", "is_vat", "kind", "number"),
    [
        ("", "BE 0403.170.701", True, "vat", "BE0403170701"),
        ("VA", "BE0403170701", True, "vat", "BE0403170701"),
        ("9925", "BE0403170701", False, "vat", "BE0403170701"),
        ("BE:VAT", "0403170701", False, "vat", "BE0403170701"),
        ("", "9925:BE0403170701", False, "vat", "BE0403170701"),
        ("0208", "0403170701", False, "enterprise", "BE0403170701"),
        ("9956", "403170701", False, "enterprise", "BE0403170701"),
        ("BE:CBE", "0403170701", False, "enterprise", "BE0403170701"),
        ("KBO", "0403.170.701", False, "enterprise", "BE0403170701"),
        ("", "0403170701", False, "enterprise", "BE0403170701"),
        ("", "0208:0403170701", False, "enterprise", "BE0403170701"),
        ("SIREN", "732 829 320", False, "0002", "732829320"),
        ("0002", "732829320", False, "0002", "732829320"),
        ("GLN", "5790000435975", False, "0088", "5790000435975"),
        ("9902", "DK13585628", False, "0184", "13585628"),
        ("0184", "13585628", False, "0184", "13585628"),
        ("9957", "61954506077", False, "vat", "FR61954506077"),
        ("", "FR 61 954 506 077", False, "vat", "FR61954506077"),
        ("GR:VAT", "EL094259216", False, "vat", "EL094259216"),
        ("", "GR094259216", True, "vat", "EL094259216"),
        ("", "NO995525828MVA", True, "vat", "NO995525828"),
        ("", "CHE-100.155.212 MWST", True, "vat", "CHE100155212"),
        ("FC", "201/113/40209", False, "", "20111340209"),
        ("", "10202", False, "", "10202"),
        ("EM", "a@b.be", False, "", "A@BBE"),
    ],
)
def test_the_register_and_the_one_spelling(
    scheme: str, value: str, is_vat: bool, kind: str, number: str
) -> None:
    assert number_kind(scheme, value, is_vat=is_vat) == kind
    assert canonical_number(scheme, value, is_vat=is_vat) == number


def test_the_country_of_the_party_completes_a_number() -> None:
    assert canonical_number("", "136695976", "DE", is_vat=True) == "DE136695976"
    assert canonical_number("VA", "094259216", "GR") == "EL094259216"
    assert canonical_number("", "403170701", "BE", is_vat=True) == "BE0403170701"
    assert canonical_number("VA", "100.155.212", "CH") == "CHE100155212"
    assert canonical_number("", "0403170701", "NL") == "0403170701"
    assert number_kind("", "0403170701", "NL") == ""


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=3), st.booleans())
def test_no_text_is_a_trouble(scheme: str, value: str, country: str, is_vat: bool) -> None:
    known = identifies(scheme, value, country, is_vat)
    assert not (known and is_placeholder(value))
    assert number_kind(scheme, value, country, is_vat) is not None
    assert compact(canonical_number(scheme, value, country, is_vat)) is not None


@pytest.mark.parametrize("country", sorted(VAT_MODULES))
def test_the_examples_of_each_country_identify(country: str) -> None:
    """Those that the library itself calls valid; some have letters of another alphabet."""
    documented = import_module(f"stdnum.{VAT_MODULES[country]}").__doc__ or ""
    for value in re.findall(r">>> validate\('([^']+)'\)[^\n]*\n'", documented):
        if not value.isascii():
            continue
        assert not is_placeholder(value)
        assert identifies("VA", value, country), value
        assert number_kind("VA", value, country) == "vat"


@pytest.mark.parametrize("word", ["slash", "NA"])
def test_two_suppliers_without_a_vat_number_are_two(word: str) -> None:
    suppliers = [
        invoice(case("01-placeholder-vat", f"{word}-supplier-{one}.xml").read_bytes()).supplier
        for one in ("one", "two")
    ]
    known = [
        {
            canonical_number(one.scheme, one.value, party.country, one.is_vat)
            for one in party.identifiers
            if identifies(one.scheme, one.value, party.country, one.is_vat)
        }
        for party in suppliers
    ]
    assert known == [{"BE0700100171"}, {"BE0700200240"}]


def test_a_customer_that_bears_nothing_but_a_slash_is_silent() -> None:
    found = invoice(case("01-placeholder-vat", "customer-slash-only.xml").read_bytes())
    assert [one.value for one in found.customer.identifiers] == ["/"]
    assert not found.customer.has_identifier
    assert found.supplier.has_identifier
