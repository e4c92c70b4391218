"""What `synqup sandbox` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio

from pipeline.app.loop import run_loop
from pipeline.app.shutdown import Shutdown
from pipeline.app.wiring_sandbox import (
    Faults,
    Mailbox,
    parse_fault,
    read_faults,
    serve_platform,
    write_companies,
    write_config,
    write_manifest,
)


def plan_faults(script: Path | None, faults: Sequence[str], seed: int) -> Faults:
    """The faults of a script and those that are named. Raises ConfigurationError."""
    planned = read_faults(script) if script is not None else []
    return Faults([*planned, *map(parse_fault, faults)], seed)


def serve_mailbox(
    mailbox: Mailbox,
    faults: Faults,
    *,
    platform: str,
    options: Mapping[str, str],
    host: str,
    port: int,
    latency: float,
    journal: Path | None,
    tls: Path | None,
    config: Path | None,
    by_person: bool,
    manifest: Path | None,
    companies: Path | None,
    new_every: float | None = None,
) -> None:
    """Serve a mailbox until stopped.

    platform: the kind of its connector. options: of that platform. config, manifest: where to write
    a configuration that works, and what the mailbox holds. companies: where to write a list of
    them. by_person: whether a person has to sign in there. new_every: seconds after which one more
    document arrives, again and again. The others are as serve_sandbox() takes them.
    """

    async def listen() -> None:
        shutdown = Shutdown(grace=0)
        with shutdown.handled():
            async with serve_platform(
                platform,
                mailbox,
                options,
                host=host,
                port=port,
                latency=latency,
                journal=journal,
                faults=faults,
                tls=tls,
            ) as served:
                if config is not None:
                    write_config(config, served, mailbox, tls, by_person=by_person)
                if companies is not None:
                    write_companies(companies, mailbox)
                if manifest is not None:
                    write_manifest(manifest, mailbox, served.platform.holds)
                print(f"listening on {served.url}", flush=True)
                async with anyio.create_task_group() as group:
                    if new_every is not None:
                        group.start_soon(_grow, mailbox, new_every)
                    await shutdown.requested.wait()
                    group.cancel_scope.cancel()

    run_loop(listen)


async def _grow(mailbox: Mailbox, every: float) -> None:
    while True:
        await anyio.sleep(every)
        mailbox.grow(1)
