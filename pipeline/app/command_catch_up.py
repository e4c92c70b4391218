"""What `synqup catch-up` does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from rich.console import Console

from pipeline.app import output
from pipeline.app.catch_up import CatchUp, CatchUpResult
from pipeline.app.cli_common import end_with
from pipeline.app.exit_codes import ExitCode, exit_code_of_error, exit_code_of_result
from pipeline.app.identity import claim_state
from pipeline.app.lock import single_instance
from pipeline.app.logging import configure_logging
from pipeline.app.loop import run_loop
from pipeline.app.node_note import claim_kind
from pipeline.app.process import exit_now
from pipeline.app.progress import Display
from pipeline.app.wiring import Config, ledger_place, load_config
from pipeline.engine.error_reporter import leaf_exceptions
from pipeline.errors import SynqupError
from pipeline.ledger.summary import Summary, summarise


def bring_backlog(path: Path, *, take_over: bool) -> None:
    """Bring all documents that wait, and print what has become of them."""
    settings = load_config(path)
    console = Console()
    running = CatchUp(settings)

    def abandon() -> None:
        # The ledger may be what hangs: the output does without it.
        empty = Summary((), (), 0, (), ())
        exit_now(ExitCode.INCOMPLETE, lambda: output.result(console, running.result(), empty))

    with single_instance(settings.service.state_dir):
        folder = settings.service.state_dir / "logs"
        log = configure_logging(folder, settings.service, quiet=True)
        claim_state(settings.service.state_dir, path, take_over=take_over)
        claim_kind(settings)
        work = partial(running.run, Display(console).show, abandon, log.record)
        result = run_loop(partial(_with_heartbeats, settings, work))
    output.result(console, result, summarise(ledger_place(settings)))
    end_with(result)


async def _with_heartbeats(
    settings: Config, work: Callable[[], Awaitable[CatchUpResult]]
) -> CatchUpResult:
    """Tell the monitors of [alerts], if there are any, that it begins and how it has ended."""
    if not settings.alerts.heartbeats:
        return await work()
    from pipeline.alerts import texts  # noqa: PLC0415 - few need it
    from pipeline.alerts.command import Ended, with_heartbeats  # noqa: PLC0415

    def ended(outcome: CatchUpResult | Exception) -> Ended:
        if isinstance(outcome, Exception):
            code = _code_of(outcome)
            return Ended(code, texts.BEAT_ERROR.format(status=int(code)))
        code, counters = exit_code_of_result(outcome), outcome.counters
        counts = {
            "status": f"{code:d}",
            "delivered": f"{counters.delivered:,}",
            "quarantined": f"{counters.quarantined:,}",
            "waiting": f"{counters.waiting:,}",
            "failures": f"{len(outcome.failures):,}",
        }
        return Ended(code, texts.BEAT_ENDED.format_map(counts))

    return await with_heartbeats(settings.alerts, work, ended)


def _code_of(error: Exception) -> ExitCode:
    """The exit code with which this error is about to end the command."""
    first = next(leaf_exceptions(error))
    if isinstance(first, SynqupError):
        return exit_code_of_error(first)
    return ExitCode.INTERNAL_ERROR
