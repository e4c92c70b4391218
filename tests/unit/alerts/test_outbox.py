"""The outbox is bounded, keeps the order, and lets go of what is over first."""

from __future__ import annotations

from hypothesis import given, strategies as st

from pipeline.alerts.message import Message
from pipeline.alerts.outbox import Outbox, first_for, only_for, with_message, without


def message(number: int, incident: str = "") -> Message:
    name = incident or f"incident-{number}"
    return Message(f"{name}-{number}", name, "source", "problem", float(number), "x", "x", "x")


def test_each_channel_has_its_own_turn() -> None:
    outbox: Outbox = ()
    for number in range(3):
        outbox = with_message(outbox, message(number), ["mail", "hook"], ())
    outbox = without(outbox, "mail", message(0).id)
    assert first_for(outbox, "mail") == message(1)
    assert first_for(outbox, "hook") == message(0)
    outbox = without(outbox, "hook", message(0).id)
    assert len(outbox) == 2
    assert first_for(outbox, "other") is None
    assert first_for(only_for(outbox, ["hook"]), "mail") is None
    assert only_for(outbox, []) == ()


def test_a_message_that_nobody_wants_is_not_kept() -> None:
    assert with_message((), message(1), [], ()) == ()


def test_what_is_over_goes_first_where_there_is_no_room() -> None:
    outbox: Outbox = ()
    for number, incident in enumerate(("wrong", "over", "wrong", "over", "other")):
        outbox = with_message(outbox, message(number, incident), ["mail"], {"wrong"}, most=3)
    assert [one.message.id for one in outbox] == ["wrong-0", "wrong-2", "other-4"]
    outbox = with_message(outbox, message(5, "wrong"), ["mail"], {"wrong", "other"}, most=3)
    assert [one.message.id for one in outbox] == ["wrong-2", "other-4", "wrong-5"]


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=60), st.integers(1, 8))
def test_it_never_holds_more_than_it_may_and_always_the_latest(
    steps: list[tuple[int, bool]], most: int
) -> None:
    outbox: Outbox = ()
    for number, (incident, is_wrong) in enumerate(steps):
        one = message(number, f"i{incident}")
        wrong = {f"i{incident}"} if is_wrong else set[str]()
        outbox = with_message(outbox, one, ["mail"], wrong, most)
        assert len(outbox) <= most
        ats = [entry.message.at for entry in outbox]
        assert ats == sorted(ats)
        if is_wrong:
            assert outbox[-1].message == one
