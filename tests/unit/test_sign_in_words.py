"""What is told of a sign-in: as whom, until when, and what to do."""

from __future__ import annotations

import time

import pytest

from pipeline.sign_in import (
    DAY,
    SignInState,
    described,
    has_ended,
    needs_sign_in,
    sign_in_command,
)

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (30 * DAY - 0.1, "30 days left"),
        (14 * DAY, "14 days left"),
        (2 * DAY, "2 days left"),
        (2 * DAY - 1, "47 hours left"),
        (3600, "1 hour left"),
        (3599, "59 minutes left"),
        (59, "0 minutes left"),
    ],
)
def test_the_time_left_is_told_in_words(left: float, said: str) -> None:
    state = SignInState("box", "jan@firm.example", NOW + left)
    sentence = described(state, NOW)
    assert sentence.startswith("signed in as jan@firm.example until 20")
    assert sentence.endswith(f"({said})")


def test_what_is_not_known_is_not_told() -> None:
    sentence = described(SignInState("box"), NOW)
    assert sentence == "signed in; the platform does not say until when"
    assert not has_ended(SignInState("box"))


def test_an_end_that_is_past_says_what_to_do() -> None:
    state = SignInState("box", "jan", NOW)
    assert described(state, NOW).startswith("the sign-in as jan ended 20")
    assert described(state, NOW).endswith("; sign in again: synqup sign-in box")
    assert has_ended(SignInState("box", ends_at=time.time() - 1))
    assert not has_ended(SignInState("box", ends_at=time.time() + 60))
    assert has_ended(SignInState("box", problem="nobody has signed in yet"))


@pytest.mark.parametrize(
    ("state", "needed"),
    [
        (SignInState("box"), False),
        (SignInState("box", problem="nobody has signed in yet", is_missing=True), True),
        (SignInState("box", problem="tokens/box: it can't be read"), False),
        (SignInState("box", ends_at=1e9), True),
        (SignInState("box", ends_at=9e9), False),
    ],
)
def test_a_sign_in_is_all_that_is_needed_or_not(state: SignInState, needed: bool) -> None:
    assert needs_sign_in(state) is needed


@pytest.mark.parametrize(
    ("source", "typed"),
    [
        ("box", "box"),
        ("my-box.2", "my-box.2"),
        ("my box", '"my box"'),
        ('a"b', '"a\\"b"'),
        ("Büro", '"Büro"'),
    ],
)
def test_a_command_can_be_typed_as_it_is_told(source: str, typed: str) -> None:
    assert sign_in_command(source) == f"synqup sign-in {typed}"
