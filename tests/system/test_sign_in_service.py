"""A sign-in that ends while the service runs: it goes on, or says what to do, and that cures it."""

from __future__ import annotations

import errno
import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stages.sandbox import FaultSpec, IssuerRules
from tests.crash.plan import Fault, Plan
from tests.crash.processes import Process
from tests.crash.world import Host, World, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="the hook reads /proc"),
]

AGAIN = "Sign in again: synqup sign-in billtobox"


@contextmanager
def serving(world: World, plan: Plan | None = None) -> Iterator[Process]:
    with world.running("run", plan=plan) as process:
        yield process
        assert process.alive, process.said()
        process.send(signal.SIGTERM)
        assert process.wait() == 0


def all_delivered(world: World) -> bool:
    return world.acknowledged() == {one["id"] for one in world.manifest}


def stored(world: World) -> str:
    token: str = json.loads(kept(world).read_text())["refresh_token"]
    return token


def kept(world: World) -> Path:
    return world.state / "tokens" / "billtobox"


def configure_seed(world: World) -> None:
    """Configure a refresh token of the sandbox's, as of a sign-in that was made elsewhere."""
    (world.folder / "refresh").write_text(world.sandbox.refresh_token)
    world.edit('kind = "billtobox"\n', 'kind = "billtobox"\nrefresh_token = { file = "refresh" }\n')


def assert_all_is_well(world: World) -> None:
    world.take()
    assert not world.problems()


def test_a_service_that_nobody_has_signed_in_to_goes_on_at_once(host: Host, tmp_path: Path) -> None:
    """It would poll again after an hour: nothing but the sign-in wakes it."""
    with host.world(tmp_path, poll="1h", by_person=True) as world, serving(world):
        wait_until(lambda: "Sign in: synqup sign-in billtobox" in world.log())
        assert world.sign_in() == 0
        wait_until(lambda: all_delivered(world))
        assert "there is a new sign-in" in world.log()
        assert_all_is_well(world)


@pytest.mark.parametrize("rules", [IssuerRules(), IssuerRules(states_end=False)])
def test_a_sign_in_that_the_platform_ends_is_told_and_cured(
    host: Host, tmp_path: Path, rules: IssuerRules
) -> None:
    with host.world(tmp_path, by_person=True, rules=rules) as world:
        assert world.sign_in() == 0
        with serving(world):
            wait_until(lambda: all_delivered(world))
            assert world.sandbox.issuer is not None
            world.sandbox.issuer.revoke_sign_ins()
            wait_until(lambda: AGAIN in world.log())
            assert world.synqup("status") == 0
            assert AGAIN in world.said()
            world.grow(3)
            assert world.sign_in() == 0
            wait_until(lambda: all_delivered(world))
            wait_until(lambda: "source serves again" in world.log())
            # Told once, however often it was tried.
            assert world.log().count(AGAIN) == 1
            assert_all_is_well(world)


@pytest.mark.parametrize("revokes", [False, True])
def test_a_lost_answer_ends_the_sign_in_in_words_and_a_sign_in_cures_it(
    host: Host, tmp_path: Path, revokes: bool
) -> None:
    """The issuer has replaced the token, and nobody knows by which."""
    lost = FaultSpec("lost-token", times=1)
    rules = IssuerRules(revokes_reused=revokes)
    with host.world(tmp_path, by_person=True, faults=[lost], rules=rules) as world:
        configure_seed(world)
        with serving(world):
            wait_until(lambda: AGAIN in world.log())
            assert "the answer with the next refresh token was lost on its way" in world.log()
            assert world.sign_in() == 0
            wait_until(lambda: all_delivered(world))
            assert_all_is_well(world)


def test_a_lost_answer_is_nothing_to_an_issuer_with_a_grace(host: Host, tmp_path: Path) -> None:
    lost = FaultSpec("lost-token", times=1)
    rules = IssuerRules(grace=60, revokes_reused=True)
    with host.world(tmp_path, by_person=True, faults=[lost], rules=rules) as world:
        configure_seed(world)
        assert world.synqup("catch-up") == 0, world.said()
        assert_all_is_well(world)


def test_a_full_disk_keeps_the_token_in_memory_and_it_is_stored_when_there_is_room(
    host: Host, tmp_path: Path
) -> None:
    with host.world(tmp_path, by_person=True) as world:
        assert world.sign_in() == 0
        first = stored(world)
        flag = world.folder / "full"
        flag.touch()
        with serving(world, full_disk(world, flag)):
            wait_until(lambda: "the renewed refresh token can't be stored" in world.log())
            wait_until(lambda: all_delivered(world))
            assert stored(world) == first
            flag.unlink()
            wait_until(lambda: "the renewed refresh token is stored" in world.log())
            assert stored(world) != first
        world.grow(2)
        assert world.synqup("catch-up") == 0, world.said()
        assert_all_is_well(world)


def test_a_kill_while_the_disk_is_full_ends_in_words_and_a_sign_in_cures_it(
    host: Host, tmp_path: Path
) -> None:
    with host.world(tmp_path, by_person=True) as world:
        assert world.sign_in() == 0
        flag = world.folder / "full"
        flag.touch()
        with world.running("run", plan=full_disk(world, flag)) as process:
            wait_until(lambda: all_delivered(world))
            process.kill()
        flag.unlink()
        world.grow(2)
        with serving(world):
            wait_until(lambda: AGAIN in world.log())
            assert world.sign_in() == 0
            wait_until(lambda: all_delivered(world))
            assert_all_is_well(world)


def test_a_sign_in_on_a_full_disk_says_so_and_leaves_the_one_before(
    host: Host, tmp_path: Path
) -> None:
    with host.world(tmp_path, by_person=True) as world:
        assert world.sign_in() == 0
        flag = world.folder / "full"
        flag.touch()
        assert world.sign_in(full_disk(world, flag)) == 1
        assert "the sign-in can't be stored" in world.said()
        assert world.synqup("catch-up") == 0, world.said()
        assert_all_is_well(world)


def test_a_sign_in_anew_beside_a_service_that_is_well_is_used_from_the_next_token(
    host: Host, tmp_path: Path
) -> None:
    with host.world(tmp_path, by_person=True) as world:
        assert world.sign_in() == 0
        with serving(world):
            wait_until(lambda: all_delivered(world))
            for _ in range(3):
                assert world.sign_in() == 0
                signed_in = stored(world)
                # Once each time: of new tokens that are refused at once, two end a poll.
                assert world.sandbox.issuer is not None
                world.sandbox.issuer.revoke()
                # A check beside it spends nothing.
                assert world.synqup("check") == 0, world.said()
                assert "signed in as jan@firm.example until 20" in world.said()
                world.grow(2)
                wait_until(lambda: all_delivered(world))
                assert stored(world) != signed_in
        assert "poll failed" not in world.log()
        assert_all_is_well(world)


def full_disk(world: World, flag: Path) -> Plan:
    calls = ("create", "write", "fsync")
    return Plan(
        world.folder, faults=tuple(Fault(one, "tokens/", errno.ENOSPC, flag) for one in calls)
    )
