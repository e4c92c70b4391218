"""How long a source asks to be left alone, in whichever way it says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from unittest.mock import Mock

import pytest
from hypothesis import given, strategies as st
from msgspec import json
from multidict import CIMultiDict

from pipeline.retry import MAX_RETRY_AFTER
from stages.sources.http.headers import retry_after
from tests.helpers.cases import case


def answered(**headers: str) -> Mock:
    return Mock(headers=CIMultiDict({k.replace("_", "-"): v for k, v in headers.items()}))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(("7", 7.0), (" 7 ", 7.0), ("0", 0.0), ("-1", None), ("soon", None), ("", None)),
        *(("3.5", 3.5), ("3.", 3.0), (".5", 0.5), ("+3", 3.0), ("3s", 3.0), ("3 seconds", 3.0)),
        *(("500ms", 0.5), ("2 min", 120.0), ('"3"', 3.0), ("3, 7", 7.0), ("7, 3", 7.0)),
        # A fraction or two values: nobody asks too early.
        *(("3,5", 5.0), ("5,3", 5.3)),
        *(("nan", None), ("inf", None), ("-3.5", None), ("9" * 400, MAX_RETRY_AFTER)),
    ],
)
def test_retry_after_in_seconds(text: str, seconds: float | None) -> None:
    assert retry_after(answered(Retry_After=text)) == seconds


def test_retry_after_of_several_headers_is_the_longest() -> None:
    headers = CIMultiDict([("Retry-After", "2"), ("Retry-After", "9"), ("Retry-After", "x")])
    assert retry_after(Mock(headers=headers)) == 9


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry_After_Ms": "1500"}, 1.5),
        ({"retry_after_ms": "30.5", "Retry_After": "soon"}, 0.0305),
        ({"Retry_After_Ms": "500", "Retry_After": "2"}, 2),
        ({"Retry_After_Ms": "4000", "Retry_After": "2"}, 4),
        ({"Retry_After_Ms": "1", "Retry_After": "2026-03-02T10:00:40Z"}, 40),
        ({"Retry_After_Ms": "soon"}, None),
    ],
)
def test_retry_after_may_be_in_milliseconds(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(answered(Date="Mon, 02 Mar 2026 10:00:00 GMT", **headers)) == seconds


@pytest.mark.parametrize(
    "text", ["2026-03-02T10:00:40Z", "1772445640", "1772445640000", "40; q=1", "40 sec."]
)
def test_retry_after_may_be_of_another_form(text: str) -> None:
    said = answered(Retry_After=text, Date="Mon, 02 Mar 2026 10:00:00 GMT")
    assert retry_after(said) == 40


def test_retry_after_as_reported() -> None:
    headers = json.decode(case("19-headers", "retry-after-fraction.json").read_bytes())
    assert retry_after(answered(Retry_After=headers["Retry-After"])) == 3.5


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, {"X_Ratelimit_Reset": "1772445640"}, 40),
        (429, {"x_rateLimit_reset": "40"}, 40),
        (429, {"X_RateLimit_Reset": "1772445590"}, 0),
        (429, {"X_RateLimit_Reset": "1772445640", "Retry_After": "3"}, 3),
        (429, {"X_RateLimit_Reset": "1772445640", "Retry_After_Ms": "3000"}, 3),
        (503, {"X_RateLimit_Reset": "1772445640"}, None),
    ],
)
def test_too_many_requests_may_say_when_their_number_begins_anew(
    status: int, headers: dict[str, str], seconds: float | None
) -> None:
    said = answered(Date="Mon, 02 Mar 2026 10:00:00 GMT", **headers)
    said.status = status
    assert retry_after(said) == seconds


@pytest.mark.parametrize("hours", [-9, 0, 9])
def test_retry_after_is_by_the_clock_of_the_server(hours: int) -> None:
    now = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=hours)
    later = format_datetime(now + timedelta(seconds=40), usegmt=True)
    date = format_datetime(now, usegmt=True)
    assert retry_after(answered(Retry_After=later, Date=date)) == 40
    assert retry_after(answered(Retry_After=date, Date=later)) == 0


def test_retry_after_without_a_date_is_by_ours() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=400), usegmt=True)
    seconds = retry_after(answered(Retry_After=later))
    assert seconds is not None
    assert 0 <= seconds <= 400


@given(st.text(), st.text())
def test_no_header_breaks_anything(after: str, date: str) -> None:
    seconds = retry_after(answered(Retry_After=after, Date=date))
    assert seconds is None or seconds >= 0
