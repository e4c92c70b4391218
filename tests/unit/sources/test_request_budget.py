"""A budget of requests: never more in any span than it allows, and no later than it must."""

from __future__ import annotations

from hypothesis import given, strategies as st

from stages.sources.http.request_budget import MARGIN, RequestBudget

LIMITS = ((10, 10.0), (60, 60.0))


@given(st.lists(st.floats(0, 30), min_size=1, max_size=300))
def test_no_span_holds_more_than_it_may(waits: list[float]) -> None:
    budget = RequestBudget(LIMITS)
    now, sent = 0.0, []
    for wait in waits:
        now += wait
        sent.append(budget.reserve(now))
    assert sent == sorted(sent)
    for requests, seconds in LIMITS:
        for first, later in zip(sent, sent[requests:], strict=False):
            assert later - first >= seconds


def test_it_waits_no_longer_than_it_must() -> None:
    budget = RequestBudget(LIMITS)
    sent = [budget.reserve(0.0) for _ in range(61)]
    assert sent[:10] == [0.0] * 10
    assert sent[10] == 10 * MARGIN
    assert sent[60] == 60 * MARGIN
    assert RequestBudget([(0, 10.0)]).reserve(5.0) == 5.0
