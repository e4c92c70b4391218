"""What a feed has listed is kept until it is acknowledged, whatever the list shows meanwhile."""

from __future__ import annotations

import time
from pathlib import Path

from hypothesis import given, strategies as st

from stages.sources.codabox.api import FeedEntry, PodClient
from stages.sources.codabox.memory import MARGIN, FeedMemory, FeedState


def entries(text: str) -> tuple[FeedEntry, ...]:
    return tuple(map(FeedEntry, text))


def indexes(state: FeedState) -> str:
    return "".join(entry.index for entry in state.all)


def test_what_leaves_the_list_unacknowledged_stays_first() -> None:
    state = FeedState().listing(entries("abc")).listing(entries("cde"))
    assert indexes(state) == "abcde"
    assert [state.is_gone(one) for one in "abcde"] == [True, True, False, False, False]
    assert indexes(state.without("a")) == "bcde"
    assert indexes(state.without("c")) == "abcde"


def test_an_acknowledgement_takes_all_before_it() -> None:
    state = FeedState().listing(entries("abc")).listing(entries("cde"))
    for index, left in (("a", "bcde"), ("b", "cde"), ("d", "e"), ("e", ""), ("x", "abcde")):
        assert indexes(state.acknowledged(index)) == left


@given(st.lists(st.text("abcdefgh", max_size=8)), st.text("abcdefgh", min_size=1, max_size=8))
def test_nothing_is_forgotten_but_by_an_acknowledgement(lists: list[str], acks: str) -> None:
    state, seen, taken = FeedState(), set[str](), set[str]()
    for number, one in enumerate(lists):
        listed = "".join(dict.fromkeys(one))
        state = state.listing(entries(listed))
        seen = (seen - taken) | set(listed)
        taken -= set(listed)
        index = acks[number % len(acks)]
        place = indexes(state).find(index)
        taken |= set(indexes(state)[: place + 1])
        state = state.acknowledged(index)
        assert set(indexes(state)) == seen - taken


def test_a_feed_rests_from_when_it_was_asked_for() -> None:
    now = time.time()
    state = FeedState().asked(7200)
    assert 7199 < state.remaining(now) <= 7200 + MARGIN
    assert state.remaining(now + 7300) == 0
    # The clock was set back by a day: it is not waited for.
    assert state.remaining(now - 86_400) == 7200 + MARGIN
    assert FeedState().remaining(now) == 0


def test_it_outlives_the_process_and_damage_is_no_memory(tmp_path: Path) -> None:
    memory = FeedMemory(tmp_path / "feeds" / "one")
    assert memory.pod() is None
    assert memory.feed("301") == FeedState()
    state = FeedState().asked(10).listing(entries("ab"))
    memory.keep_feed("301", state)
    memory.keep_feed("../302", FeedState())
    pod = PodClient(5.0, {"coda": ("cod",)}, ())
    memory.keep_pod(pod)
    again = FeedMemory(tmp_path / "feeds" / "one")
    assert again.feed("301") == state
    assert again.pod() == pod
    files = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    assert files == ["feed-..%2F302.json", "feed-301.json", "pod.json"]
    (tmp_path / "feeds" / "one" / "feed-301.json").write_bytes(b"\0" * 50)
    assert again.feed("301") == FeedState()
