"""The sandbox tells of documents that arrive, signed as its platform signs: they come at once."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from msgspec import structs

from pipeline.config.push import PushSettings
from pipeline.config.types import Duration
from pipeline.hints import HintOutcome
from stages.sandbox import Faults, Mailbox, serve_sandbox, write_config
from stages.sources.einvoice_be.sandbox import EInvoiceBeWire
from tests.helpers.processes import mailbox as sandbox_process, synqup
from tests.helpers.services import often, running, until
from tests.helpers.trial import Trial, trial

pytestmark = pytest.mark.anyio


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


async def comes_at_once(it: Trial, kind: str) -> None:
    config = often(it.config(), 3600)
    # Its own configuration has the address and the secret.
    assert config.push.address is not None
    config = structs.replace(config, push=structs.replace(config.push, pause=Duration(0)))
    async with running(config) as service:
        await until(lambda: service.push_receiver.addresses)
        observer = service._application.engine.observer

        def has_polled() -> object:
            known = observer.snapshot().sources.get(kind)
            return known and known.poll.ended_at and not known.in_flight

        await until(has_polled)
        before = it.delivered().total()
        it.mailbox.grow(12)
        await until(lambda: it.delivered().total() > before)
        told = observer.snapshot().sources[kind].hints
        assert set(told) <= {HintOutcome.POLL, HintOutcome.JOINED}


@pytest.mark.parametrize("door", ["inbox", "feeds"])
async def test_of_billit(tmp_path: Path, door: str) -> None:
    url = f"http://127.0.0.1:{free_port()}/push/billit"
    chosen = {"door": door, "push": url, "pause": "0"}
    async with trial(tmp_path, documents=6, kind="billit", chosen=chosen) as it:
        await comes_at_once(it, "billit")


async def test_of_e_invoice_be(tmp_path: Path) -> None:
    wire, mailbox = EInvoiceBeWire(ubl_after=0), Mailbox(6, 3, seed=7)
    wire.choose({"push": f"http://127.0.0.1:{free_port()}/push/einvoice_be"})
    async with serve_sandbox(mailbox, platform=wire) as served:
        it = Trial(tmp_path, mailbox, served, Faults())
        write_config(it.path, served, mailbox)
        await comes_at_once(it, "einvoice_be")


async def test_nobody_is_told_where_no_address_is_chosen(tmp_path: Path) -> None:
    async with trial(tmp_path, documents=3, kind="billit") as it:
        assert it.config().push == PushSettings()


def test_check_and_status_tell_that_pushes_are_on(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}/push/billit"
    options = ("--platform", "billit", "--option", "door=inbox", "--option", f"push={url}")
    with sandbox_process(tmp_path, *options, "--documents", 3, "--new-every", 0.2) as box:
        assert f"source billit: pushes are taken at {url}" in synqup(
            "check", "--config", box.config
        )
        synqup("catch-up", "--config", box.config)
        assert f"pushes are taken at {url}" in synqup("status", "--config", box.config)
        told = json.loads(synqup("status", "--json", "--config", box.config))
        assert told["pushes"] == {"billit": url}
        text = box.config.read_text("utf-8")
        box.config.write_text(text.replace("[push]\nlisten", "[push]\n# listen"), "utf-8")
        said = synqup("check", "--config", box.config, expect=1)
        assert "it has a push_secret, and nothing listens for pushes" in said
        assert json.loads(synqup("status", "--json", "--config", box.config))["pushes"] == {}
