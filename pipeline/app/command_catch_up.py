"""What `synqup catch-up` does."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from pipeline.app import output
from pipeline.app.catch_up import CatchUp
from pipeline.app.cli_common import end_with
from pipeline.app.exit_codes import ExitCode
from pipeline.app.lock import single_instance
from pipeline.app.logging import configure_logging
from pipeline.app.loop import run_loop
from pipeline.app.process import exit_now
from pipeline.app.progress import Display
from pipeline.app.wiring import ledger_path, load_config
from pipeline.ledger.summary import Summary, summarise


def bring_backlog(path: Path) -> None:
    """Bring all documents that wait, and print what has become of them."""
    settings = load_config(path)
    console = Console()
    running = CatchUp(settings)

    def abandon() -> None:
        # The ledger may be what hangs: the output does without it.
        empty = Summary((), (), 0, (), ())
        exit_now(ExitCode.INCOMPLETE, lambda: output.result(console, running.result(), empty))

    with single_instance(settings.service.state_dir):
        configure_logging(settings.service.state_dir / "logs", quiet=True)
        result = run_loop(lambda: running.run(Display(console).show, abandon))
    output.result(console, result, summarise(ledger_path(settings.service.state_dir)))
    end_with(result)
