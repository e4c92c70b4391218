"""A company leaves a place to the others, and what is late leaves one for all of them."""

from __future__ import annotations

from pipeline.behalf import LATE
from stages.sources.http.places import Places


class Request:
    def give_up(self) -> None: ...


def answered(places: Places, company: str, count: int) -> None:
    for _ in range(count):
        request = Request()
        places.take(company, request, 0.0)
        places.leave(company, request, 0.1)


def taken(places: Places, company: str, of: int, now: float) -> int:
    """How many places a company takes now."""
    count = 0
    while places.may_take(company, of, now):
        places.take(company, Request(), now)
        count += 1
    return count


def test_a_company_begins_with_one_place_and_leaves_one() -> None:
    places = Places()
    assert taken(places, "a", 4, 0.0) == 1
    answered(places, "b", 1)
    assert taken(places, "b", 4, 0.0) == 2
    answered(places, "c", 100)
    assert taken(places, "c", 4, 0.0) == 3


def test_late_companies_try_one_request_at_a_time_and_leave_a_place_together() -> None:
    places = Places()
    assert taken(places, "a", 4, 0.0) == taken(places, "b", 4, 0.0) == 1
    assert taken(places, "a", 4, LATE) == 1
    assert not places.may_take("b", 4, LATE)
    assert places.may_take("c", 4, LATE)


def test_one_answer_that_was_late_has_a_company_begin_anew() -> None:
    places, slow = Places(), Request()
    answered(places, "a", 100)
    places.take("a", slow, 0.0)
    places.leave("a", slow, LATE)
    assert taken(places, "a", 4, LATE) == 1


def test_the_latest_request_of_the_company_that_holds_most_is_given_up() -> None:
    places = Places()
    answered(places, "a", 2)
    for company in ("a", "b"):
        places.take(company, Request(), 0.0)
    last = Request()
    places.take("a", last, 1.0)
    assert places.to_give_up(LATE) is None
    assert places.to_give_up(LATE + 1) is last
    places.leave("a", last, LATE + 1)
    assert places.to_give_up(2 * LATE) is None
