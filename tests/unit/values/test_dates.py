"""Days in every spelling that documents have for them."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, strategies as st

from stages.values.dates import iso_date, short_date
from tests.helpers.cases import case
from tests.helpers.invoices import invoice


@pytest.mark.parametrize(
    "text",
    [
        *("2026-03-02", "20260302", "2026-03-02Z", "2026-03-02+01:00", "2026-03-02-05:00"),
        *("2026-03-02T00:00:00", "2026-03-02T23:59:59.999Z", "2026-03-02 00:00:00"),
        *("2026-03-02T00:00:00+01:00", "20260302T0000", "202603021530", "20260302153000"),
        *("\ufeff2026-03-02\u200b", " 2026-03-02 \n", "2026\u201103\u201102", "2026/03/02"),
        *(
            "\uff12\uff10\uff12\uff16-03-02",
            "2026-3-2",
            "2026-03-02 +01:00",
            "2026-03-02T00:00+0100",
        ),
        *("2026-03-02t00:00:00z",),
    ],
)
def test_one_day_in_every_spelling(text: str) -> None:
    assert iso_date(text) == "2026-03-02"


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "2026",
            "2026-03",
            "2026-02-29",
            "2026-13-01",
            "20260230",
            "02-03-2026",
            "02/03/2026",
        ),
        *(
            "0000-01-01",
            "n/a",
            "2026-03-02 or later",
            "2026-03/02",
            "202603",
            "2026030",
            "-2026-03-02",
        ),
        *("2026-03-02" + " " * 100 + "Z", "9" * 5000, "12026-03-02"),
    ],
)
def test_what_is_no_day(text: str) -> None:
    assert iso_date(text) == ""


@given(
    st.dates(),
    st.sampled_from(["%s", "%sZ", "%s+01:00", "%s-11:00", "%sT12:30:00", "%sT00:00:00.5+14:00"]),
    st.booleans(),
)
def test_a_day_comes_back_as_itself(day: date, spelling: str, is_basic: bool) -> None:
    text = day.isoformat().replace("-", "") if is_basic else day.isoformat()
    assert iso_date(spelling % text) == day.isoformat()


@given(st.text(max_size=40))
def test_any_text_is_a_day_or_none(text: str) -> None:
    found = iso_date(text)
    assert not found or date.fromisoformat(found).isoformat() == found
    assert iso_date(found) == found


@given(st.dates(date(1980, 1, 1), date(2079, 12, 31)))
def test_a_year_of_two_digits_has_one_century(day: date) -> None:
    assert short_date(*day.strftime("%y %m %d").split()) == day.isoformat()


@pytest.mark.parametrize(
    "parts", [("26", "02", "30"), ("26", "2", "3"), ("26", " 2", "03"), ("", "", "")]
)
def test_what_is_no_short_day(parts: tuple[str, str, str]) -> None:
    assert short_date(*parts) == ""


@pytest.mark.parametrize("name", ["with-z.xml", "with-zone.xml"])
def test_a_zone_is_no_part_of_the_day_of_an_invoice(name: str) -> None:
    found = invoice(case("16-issue-date", name).read_bytes())
    assert found.issue_date == "2026-03-02"
