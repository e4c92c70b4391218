"""Whatever goes wrong gives one alert and one recovery on real receivers, in simulated time."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC
from pathlib import Path

import anyio
import pytest
from aiohttp import web
from msgspec import structs

from pipeline.alerts.alerts import Alerts
from pipeline.alerts.marker import Marker
from pipeline.alerts.runner import Runner, World
from pipeline.alerts.settings import (
    AlertSettings,
    HeartbeatSettings,
    MailSettings,
    WebhookSettings,
)
from pipeline.alerts.store import Store
from pipeline.alerts.watch import begin
from pipeline.health.model import Health
from pipeline.ledger.ledger import open_ledger
from pipeline.retry import RetryPolicy
from tests.helpers.alerting import COMPANIES, DAY, HOUR, MINUTE, Simulation
from tests.helpers.receivers import MailReceiver, WebReceiver, mail_receiving, receiving
from tests.helpers.serving import serving

pytestmark = pytest.mark.anyio

PATIENCE = 60
SOON = RetryPolicy(attempts=3, first_wait=0.01, longest_wait=0.02)


class Office:
    """A service in simulated time, with receivers of all sorts, and the runner that tells them."""

    def __init__(self, folder: Path, web: WebReceiver, mails: MailReceiver) -> None:
        self.it = Simulation()
        self.folder = folder
        self.web = web
        self.mails = mails
        self.settings = AlertSettings(
            heartbeats=(HeartbeatSettings(f"{web.url}beat"),),
            mail=MailSettings("127.0.0.1", "a@example.be", ("b@example.be",), mails.port, "plain"),
            webhooks=(WebhookSettings("hook", f"{web.url}hook"),),
            summary="never",
        )
        self.store = Store(folder / "alerts", self.it.now)
        #: Ends the runner.
        self.stop: Callable[[], object] = lambda: None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Runner]:
        """Another process, that knows what is in the folder."""
        self.store = Store(self.folder / "alerts", self.it.now)
        self.store.load()

        world = World(
            self.health,
            self.folder / "alerts",
            self.folder / "ledger.sqlite",
            lambda: self.it.now,
            UTC,
            SOON,
        )
        runner = Runner(self.settings, "office", lambda: COMPANIES, self.store, world)
        async with anyio.create_task_group() as group:
            scope = anyio.CancelScope()
            self.stop = scope.cancel

            async def run() -> None:
                with scope:
                    await runner.run(is_start=True)

            group.start_soon(run)
            yield runner
            scope.cancel()
        # As a stop does: what was sent just now is not sent again.
        await until(lambda: not runner._disk._busy)
        if self.store.is_due:
            self.store.save()

    async def health(self) -> Health:
        return self.it.health()

    def alerts(self) -> Alerts:
        ledger = self.folder / "ledger.sqlite"
        return Alerts(self.settings, (), self.health, self.folder, ledger)

    async def go_by(self, runner: Runner, seconds: float, step: float = 5 * MINUTE) -> None:
        """Let time go by until all is sent that there is to send."""
        end = self.it.now + seconds
        while self.it.now < end:
            self.it.now += step
            await runner.look()
        await self.all_sent()

    async def all_sent(self) -> None:
        await until(lambda: not self.store.state.outbox)

    def messages(self) -> list[str]:
        told = [call.json for call in self.web.calls if call.path == "/hook"]
        return [f"{one['cause']} {one['state']}" for one in told]

    def subjects(self) -> list[str]:
        return [one["Subject"].removeprefix("[synqup] office: ") for one in self.mails.mails]

    def beats(self) -> list[str]:
        return [path for path in self.web.paths if path != "/hook"]


async def until(condition: Callable[[], object]) -> None:
    with anyio.fail_after(PATIENCE):
        while not condition():
            await anyio.sleep(0.01)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_ledger(tmp_path / "ledger.sqlite"):
        pass
    async with receiving() as web, mail_receiving() as mails:
        yield Office(tmp_path, web, mails)


def revoke(it: Simulation) -> None:
    it.sources["box"] = it.trouble("the sign-in was refused", "Sign in again")


def cut(it: Simulation) -> None:
    it.sources["box"] = it.trouble("the source does not answer (no route to host)")


def expire(it: Simulation) -> None:
    it.sources["box"] = it.trouble("the server's certificate is not trusted (it has expired)")


def hang(it: Simulation) -> None:
    it.stuck_since = it.now


def mend(it: Simulation) -> None:
    it.sources = dict.fromkeys(it.sources)
    it.empty()


@pytest.mark.parametrize(
    ("harm", "cause"),
    [
        pytest.param(hang, "stuck", id="a stage sleeps for ever"),
        pytest.param(Simulation.fill, "disk", id="full disk"),
        pytest.param(revoke, "source", id="revoked token"),
        pytest.param(cut, "source", id="cut network"),
        pytest.param(expire, "source", id="expired certificate"),
    ],
)
async def test_each_trouble_gives_one_alert_and_one_recovery(
    office: Office, harm: Callable[[Simulation], None], cause: str
) -> None:
    async with office.running() as runner:
        await office.go_by(runner, HOUR)
        assert office.messages() == []
        harm(office.it)
        await office.go_by(runner, DAY)
        assert office.messages() == [f"{cause} problem"]
        mend(office.it)
        await office.go_by(runner, DAY)
    assert office.messages() == [f"{cause} problem", f"{cause} over"]
    assert len(office.subjects()) == 2
    await until(lambda: "/beat/fail" in office.beats())
    assert office.beats().count("/beat/fail") == 1


async def test_a_kill_gives_one_alert_and_one_recovery(office: Office) -> None:
    marker = Marker(office.folder / "alerts")
    marker.touch()
    os.utime(office.folder / "alerts" / "running", (office.it.now, office.it.now))
    await begin(office.alerts())
    office.it.restart(2 * HOUR)
    async with office.running() as runner:
        await office.go_by(runner, DAY)
    assert office.messages() == ["ended problem", "ended over"]
    assert office.subjects() == ["synqup was ended without a stop", "synqup works again"]
    assert "2026-09-01 09:30" in office.mails.mails[0].get_content()
    # Stopped as it should be.
    marker.end()
    await begin(office.alerts())
    assert not office.store.state.memory.ended


async def test_a_hang_that_a_watchdog_ends_is_one_trouble(office: Office) -> None:
    async with office.running() as runner:
        await office.go_by(runner, HOUR)
        hang(office.it)
        await office.go_by(runner, HOUR)
    Marker(office.folder / "alerts").touch()
    await begin(office.alerts())
    office.it.restart()
    async with office.running() as runner:
        await office.go_by(runner, DAY)
    assert office.messages() == ["stuck problem", "stuck over"]


async def test_a_healthy_week_gives_none_but_the_summaries(office: Office) -> None:
    office.settings = structs.replace(office.settings, summary="daily")
    for _ in range(7):
        async with office.running() as runner:
            await office.go_by(runner, DAY, HOUR)
        office.it.restart()
    assert office.messages() == ["summary notice"] * 7
    assert "/beat/fail" not in office.beats()
    assert office.beats().count("/beat/start") == 7


async def test_alerts_that_can_not_be_sent_are_kept_and_sent_later_in_order(
    office: Office,
) -> None:
    office.web.status, office.mails.refuse = 503, "451 not now"
    async with office.running() as runner:
        revoke(office.it)
        for _ in range(4):
            office.it.now += 5 * MINUTE
            await runner.look()
        mend(office.it)
        office.it.now += 5 * MINUTE
        await runner.look()
        await until(lambda: len(office.messages()) > 5)
    assert set(office.messages()) == {"source problem"}
    assert not office.mails.mails
    office.web.calls.clear()
    office.web.status, office.mails.refuse = 200, ""
    async with office.running():
        await office.all_sent()
    assert office.messages() == ["source problem", "source over"]
    assert len(office.mails.mails) == 2
    async with office.running() as runner:
        await office.go_by(runner, DAY)
    assert len(office.messages()) == 2


async def test_a_message_is_the_same_however_often_it_is_sent(office: Office) -> None:
    office.web.status = 503
    async with office.running() as runner:
        revoke(office.it)
        for _ in range(4):
            office.it.now += 5 * MINUTE
            await runner.look()
        await until(lambda: len(office.messages()) > 3)
        assert len({call.body for call in office.web.calls if call.path == "/hook"}) == 1


async def test_a_message_on_its_way_is_finished_by_a_stop_and_not_sent_again(
    office: Office,
) -> None:
    arrived, release = anyio.Event(), anyio.Event()
    answer = office.web.answer

    async def slowly(request: web.Request) -> web.Response:
        said = await answer(request)
        if request.path == "/hook":
            arrived.set()
            with anyio.move_on_after(PATIENCE):
                await release.wait()
        return said

    async with serving(slowly) as url:
        hook = WebhookSettings("hook", f"{url}hook")
        office.settings = AlertSettings(webhooks=(hook,), summary="never")
        async with office.running() as runner, anyio.create_task_group() as group:
            revoke(office.it)
            for _ in range(4):
                office.it.now += 5 * MINUTE
                await runner.look()
            with anyio.fail_after(PATIENCE):
                await arrived.wait()

            async def let_go() -> None:
                await anyio.sleep(0.05)
                release.set()

            group.start_soon(let_go)
            office.stop()
        assert office.messages() == ["source problem"]
        assert not office.store.state.outbox


async def test_one_channel_that_hangs_or_refuses_holds_up_no_other(office: Office) -> None:
    office.mails.refuse = "554 looks like spam"
    async with office.running() as runner:
        revoke(office.it)
        await office.go_by(runner, HOUR)
    # The mail was refused for what it is, some times; then the next ones have their turn.
    assert office.messages() == ["source problem"]
    assert not office.mails.mails


async def test_a_state_folder_that_can_not_be_written_keeps_no_alert_from_being_sent(
    office: Office,
) -> None:
    (office.folder / "alerts").write_text("no folder")
    async with office.running() as runner:
        office.it.fill()
        await office.go_by(runner, DAY)
        assert office.messages() == ["disk problem"]
        (office.folder / "alerts").unlink()
        office.it.empty()
        await office.go_by(runner, HOUR)
    async with office.running() as runner:
        await office.go_by(runner, HOUR)
    assert office.messages() == ["disk problem", "disk over"]


async def test_each_channel_is_told_of_its_causes_only(office: Office) -> None:
    hook = structs.replace(office.settings.webhooks[0], causes=("disk",))
    office.settings = structs.replace(office.settings, webhooks=(hook,), causes=("source",))
    async with office.running() as runner:
        revoke(office.it)
        office.it.free = 0
        await office.go_by(runner, HOUR)
    assert office.messages() == ["disk problem"]
    assert office.subjects() == ["source box can't be read"]


async def test_heartbeats_follow_the_polls_and_name_nobody(office: Office) -> None:
    office.it.folders = {"/srv/Bakkerij Peeters": None}
    async with office.running() as runner:
        # The service of the simulation has been polled once it is looked at.
        await until(lambda: len(office.beats()) == 2)
        for count in range(3, 5):
            office.it.now += 5 * MINUTE
            await runner.look()
            await runner.look()
            await until(lambda count=count: len(office.beats()) == count)  # type: ignore[misc]
        revoke(office.it)
        for _ in range(3):
            await runner.look()
        await until(lambda: len(office.beats()) == 5)
        mend(office.it)
        office.it.now += 5 * MINUTE
        await runner.look()
        await until(lambda: len(office.beats()) == 6)
    assert office.beats() == ["/beat/start", "/beat", "/beat", "/beat", "/beat/fail", "/beat"]
    said = b"".join(call.body for call in office.web.calls if call.path != "/hook")
    assert b"1 of 1 sources" in said
    assert b"box" not in said
    assert b"Peeters" not in said
