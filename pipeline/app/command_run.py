"""What `synqup run` does."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from pipeline.app.exit_codes import ExitCode
from pipeline.app.identity import claim_state
from pipeline.app.lock import single_instance
from pipeline.app.logging import configure_logging
from pipeline.app.loop import run_loop
from pipeline.app.node_note import claim_kind
from pipeline.app.process import exit_now
from pipeline.app.service import serve
from pipeline.app.service_manager.link import Link
from pipeline.app.service_manager.sd_notify import connect
from pipeline.app.wiring import load_config


def run(path: Path, *, take_over: bool) -> None:
    """Serve until stopped, by the configuration at an absolute path."""
    run_service(path, connect(), partial(exit_now, ExitCode.OK), take_over=take_over)


def run_service(
    path: Path, link: Link, abandon: Callable[[], object], *, take_over: bool = False
) -> None:
    """Run as a service by the configuration at `path` until a signal.

    take_over: whether the state folder may be a copy of one that is used no more. The rest is as in
    serve().
    """
    settings = load_config(path)
    with single_instance(settings.service.state_dir):
        log = configure_logging(settings.service.state_dir / "logs", settings.service)
        claim_state(settings.service.state_dir, path, take_over=take_over)
        claim_kind(settings)
        run_loop(lambda: serve(path, settings, abandon, link, log))
