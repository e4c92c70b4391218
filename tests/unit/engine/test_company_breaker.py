"""Circuit breakers of companies: one that is not served is given up alone, and tried again."""

from __future__ import annotations

from types import SimpleNamespace

import anyio
import pytest

from pipeline.engine.breaker import Breaker
from pipeline.engine.breaker_retry import BreakerRetry
from pipeline.engine.company_breaker import GIVE_UP_SECONDS, GIVE_UP_TRIES, SUSPECT_AFTER
from pipeline.errors import RetryableError, SignInRefused, SourceUnavailable, SourceUnreachable
from pipeline.retry import RetryPolicy
from tests.helpers.farm import Farm

HUNG = SourceUnavailable("document")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def one(clock: Clock) -> Breaker:
    """Of a source that is polled for several companies."""
    breaker = Breaker(clock)
    breaker.reset("box", several=True)
    return breaker


def hang(one: Breaker, clock: Clock, company: str, times: int = GIVE_UP_TRIES) -> None:
    """So many requests at once that are not answered for long."""
    began = clock.now
    clock.now += GIVE_UP_SECONDS
    for _ in range(times):
        one.record_try("box", HUNG, company, began)


def refused(one: Breaker, company: str) -> bool:
    return one.companies.refusal("box", company) is not None


def test_a_company_is_given_up_as_soon_as_a_few_of_its_requests_have_hung(
    one: Breaker, clock: Clock
) -> None:
    hang(one, clock, "a", GIVE_UP_TRIES - 1)
    assert not refused(one, "a")
    assert one.record_try("box", HUNG, "a", clock.now)
    assert refused(one, "a")
    assert one.companies.given_up("box").keys() == {"a"}
    assert not refused(one, "b")


def test_many_failures_within_a_moment_give_no_company_up(one: Breaker, clock: Clock) -> None:
    for _ in range(100):
        one.record_try("box", HUNG, "a", clock.now)
    assert not refused(one, "a")
    one.record_success("box", "a")
    clock.now = GIVE_UP_SECONDS
    one.record_try("box", HUNG, "a", clock.now)
    assert not refused(one, "a")


def test_by_one_company_alone_no_source_is_suspect_or_given_up(one: Breaker, clock: Clock) -> None:
    hang(one, clock, "a", 500)
    for _ in range(500):
        one.record_failure("box", HUNG, "a")
    assert one.is_suspect("box", "a")
    assert not one.is_suspect("box", "b")
    assert one.open_reason("box", idle=True) is None
    assert one.give_up_reason("box") is None
    # Another one is not served either.
    one.record_try("box", HUNG, "b", clock.now)
    assert one.give_up_reason("box") is not None


@pytest.mark.parametrize("error", [SourceUnreachable("box"), SignInRefused("box")])
def test_what_can_be_nobody_s_alone_concerns_the_source(
    one: Breaker, clock: Clock, error: SourceUnreachable | SignInRefused
) -> None:
    for _ in range(SUSPECT_AFTER):
        one.record_failure("box", error, "a")
    assert one.open_reason("box", idle=True) is not None


def test_where_there_is_one_company_or_nobody_knows_whose_it_is_the_source_is_at_fault(
    one: Breaker, clock: Clock
) -> None:
    hang(one, clock, "", SUSPECT_AFTER)
    clock.now += GIVE_UP_SECONDS
    assert one.give_up_reason("box") is not None
    one.reset("box", several=False)
    hang(one, clock, "a", SUSPECT_AFTER)
    clock.now += GIVE_UP_SECONDS
    assert one.give_up_reason("box") is not None
    assert one.companies.given_up("box") == {}


def test_in_the_next_poll_one_document_is_tried_another_in_each_until_one_is_served(
    one: Breaker, clock: Clock
) -> None:
    hang(one, clock, "a")
    for turn in (0, 1, 2, 0, 1):
        one.reset("box", several=True)
        assert [refused(one, "a") for _ in range(3)] == [number != turn for number in range(3)]
        one.record_try("box", HUNG, "a", clock.now)
        assert one.companies.given_up("box").keys() == {"a"}
        assert one.is_suspect("box", "a")
    one.reset("box", several=True)
    assert [refused(one, "a") for _ in range(3)] == [True, True, False]
    one.record_success("box", "a")
    assert not refused(one, "a")
    assert one.companies.given_up("box") == {}


def test_where_there_are_fewer_documents_than_before_the_first_has_its_turn_again(
    one: Breaker, clock: Clock
) -> None:
    hang(one, clock, "a")
    one.reset("box", several=True)
    assert [refused(one, "a") for _ in range(3)] == [False, True, True]
    one.reset("box", several=True)
    assert refused(one, "a")
    one.reset("box", several=True)
    assert not refused(one, "a")


def test_nothing_is_said_any_more_of_one_that_has_no_documents(one: Breaker, clock: Clock) -> None:
    hang(one, clock, "a")
    one.reset("box", several=True)
    assert one.companies.given_up("box") == {}
    one.reset("box", several=True)
    assert [refused(one, "a") for _ in range(3)] == [False] * 3


def test_an_answer_of_any_kind_ends_the_trial(one: Breaker, clock: Clock) -> None:
    hang(one, clock, "a")
    one.reset("box", several=True)
    assert not refused(one, "a")
    one.record_try("box", RetryableError("document", "403"), "a", clock.now)
    assert not refused(one, "a")


def test_another_source_and_a_poll_that_begins_know_nothing_of_it(
    one: Breaker, clock: Clock
) -> None:
    one.reset("other", several=True)
    hang(one, clock, "a", GIVE_UP_TRIES - 1)
    one.reset("box", several=True)
    assert one.companies.refusal("other", "a") is None
    one.record_try("box", HUNG, "a", clock.now)
    assert not refused(one, "a")


@pytest.mark.anyio
async def test_a_company_that_is_given_up_keeps_nobody_waiting_for_another_try(
    one: Breaker, clock: Clock
) -> None:
    retry = BreakerRetry(one)
    farm = Farm(name="box")
    farm.retries = RetryPolicy(attempts=5, first_wait=1000, longest_wait=1000)
    ends: list[str] = []

    async def fail() -> None:
        raise HUNG

    async def fetch(company: str) -> None:
        try:
            await retry(farm, fail, company)
        except RetryableError as error:
            ends.append(f"{company}: {error.subject}")

    with anyio.fail_after(100):
        async with anyio.create_task_group() as group:
            for company in ("a", "a", "a", "b"):
                group.start_soon(fetch, company)
            await anyio.wait_all_tasks_blocked()
            assert not ends
            hang(one, clock, "a")
            one.record_success("box", "b")
            await fetch("a")
            await anyio.wait_all_tasks_blocked()
            assert sorted(ends) == ["a: company a at source box", *["a: document"] * 3]
            group.cancel_scope.cancel()


def test_an_entry_says_whose_it_is_if_its_list_does() -> None:
    farm = Farm(1)
    entry = farm.entry("1")
    assert entry.company == ""
    assert type(entry)("1", "", "", SimpleNamespace(company=None)).company == ""
    assert type(entry)("1", "", "", SimpleNamespace(company="BE1")).company == "BE1"
