"""The command line: `synqup COMMAND`. What each exit status means stands in EXIT."""

from __future__ import annotations

import signal
import sys
import traceback
from asyncio import CancelledError
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from enum import IntEnum
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console

from pipeline.app import output as report
from pipeline.app.catch_up import CatchUp, Outcome
from pipeline.app.demo import demonstrate
from pipeline.app.dry_run import rehearse
from pipeline.app.lock import only_process
from pipeline.app.logging import set_up
from pipeline.app.loop import end, end_at_once, run as run_loop
from pipeline.app.progress import Display
from pipeline.app.service import serve
from pipeline.app.shutdown import Stop, signals
from pipeline.app.streams import stand_alone
from pipeline.app.wiring import (
    Config,
    Faults,
    Mailbox,
    examine,
    explain,
    ledger_path,
    load_config,
    parse_fault,
    read_faults,
    serve_sandbox,
    write_config,
    write_manifest,
)
from pipeline.engine.unforeseen import leaves
from pipeline.errors import (
    ConfigurationError,
    InternalError,
    RetryableError,
    SourceError,
    SynqupError,
)
from pipeline.ledger.summary import Summary, summarise
from pipeline.text import printable_lines

T = TypeVar("T")

app = typer.Typer(
    name="synqup",
    help="Brings invoices and bank statements from a cloud mailbox to your accounting package.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class Exit(IntEnum):
    """What the exit status says."""

    ALL_WELL = 0
    SOME_FAILED = 1
    USAGE = 2
    SOURCE = 3
    FAULT = 70


ConfigFile = Annotated[
    Path, typer.Option("--config", help="The configuration file.", exists=True, dir_okay=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"synqup {version('synqup')}")
        raise typer.Exit


@app.callback()
def _common(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None: ...


@app.command()
def run(config: ConfigFile) -> None:
    """Run as a service: poll every source until stopped, and apply edits of the configuration."""
    path = config.resolve()
    with _stopped_by_signals(Exit.ALL_WELL):
        settings = load_config(path)
        with only_process(settings.service.state_dir):
            set_up(settings.service.state_dir / "logs")
            _run(lambda: serve(path, settings, partial(end_at_once, Exit.ALL_WELL)))


@app.command("catch-up")
def catch_up(
    config: ConfigFile,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list what would be brought.")
    ] = False,
) -> None:
    """Bring the whole backlog once, then end.

    Exit status: 0 all delivered, 1 some quarantined or failed, 2 configuration or usage,
    3 a source unreachable or sign-in refused, 70 a fault of synqup's own.
    """
    with _stopped_by_signals(Exit.SOME_FAILED):
        settings = load_config(config.resolve())
        console = Console()
        catching_up = CatchUp(settings)

        def abandon() -> None:
            nothing = Summary((), (), 0, (), ())
            end_at_once(
                Exit.SOME_FAILED, lambda: report.outcome(console, catching_up.outcome(), nothing)
            )

        if dry_run:
            _rehearse(settings, console)
            return
        with only_process(settings.service.state_dir):
            set_up(settings.service.state_dir / "logs", quiet=True)
            outcome = _run(lambda: catching_up.run(Display(console).show, abandon))
        report.outcome(console, outcome, summarise(ledger_path(settings.service.state_dir)))
        _end(outcome)


def _rehearse(settings: Config, console: Console) -> None:
    set_up(None, quiet=True)
    with ExitStack() as stack:
        if any(source.exclusive_sign_in for source in settings.sources):
            # The credential is good for one sign-in, and a running service needs it.
            stack.enter_context(only_process(settings.service.state_dir))
        rehearsal = _run(lambda: rehearse(settings))
    report.rehearsal(console, rehearsal)
    if rehearsal.failures:
        raise typer.Exit(Exit.SOURCE)


@app.command()
def check(config: ConfigFile) -> None:
    """Try the configuration: its paths, its folders, its sources; say what to mend.

    Exit status: 0 nothing to mend, 1 a folder, 2 the configuration, 3 a source.
    """
    settings = load_config(config.resolve())
    findings = _run(lambda: examine(settings))
    report.findings(Console(), findings)
    if any(not finding.well and finding.about == "source" for finding in findings):
        raise typer.Exit(Exit.SOURCE)
    if any(not finding.well for finding in findings):
        raise typer.Exit(Exit.SOME_FAILED)


@app.command()
def status(config: ConfigFile, json: AsJson = False) -> None:
    """Tell what became of documents and sources: counts, last polls and errors, the quarantine."""
    settings = load_config(config.resolve())
    configured = [source.name for source in settings.sources]
    summary = summarise(ledger_path(settings.service.state_dir), configured)
    names = {company.identifier: company.name for company in settings.companies}
    if json:
        print(report.in_json(summary))
    else:
        report.summary(Console(), summary, names)


@app.command()
def classify(
    files: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False)],
    company: Annotated[str, typer.Option(help="The company's enterprise or VAT number.")],
    json: AsJson = False,
) -> None:
    """Tell what each file is, seen from one company, and why."""
    for path in files:
        explanation = explain(path, company)
        if json:
            print(report.in_json(explanation), flush=True)
        else:
            report.explanation(Console(), explanation)


@app.command()
def sandbox(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0 takes a free one.")] = 0,
    documents: Annotated[int, typer.Option(min=0, help="How many it holds.")] = 300,
    companies: Annotated[int, typer.Option(min=1, help="How many companies.")] = 3,
    seed: Annotated[int, typer.Option(help="The same seed makes the same documents.")] = 1,
    latency: Annotated[float, typer.Option(min=0, help="Milliseconds before each answer.")] = 0,
    corpus: Annotated[
        Path | None, typer.Option(help="Serve the files below this folder instead.")
    ] = None,
    company: Annotated[
        str | None, typer.Option(help="With --corpus: the company whose they are.")
    ] = None,
    manifest: Annotated[
        Path | None, typer.Option(help="Write a line of JSON for each document.")
    ] = None,
    journal: Annotated[
        Path | None, typer.Option(help="Append a line of JSON for each acknowledgement.")
    ] = None,
    write_config_to: Annotated[
        Path | None, typer.Option("--write-config", help="Write a configuration that works.")
    ] = None,
    faults: Annotated[
        Path | None, typer.Option(help="Misbehave by this script of faults (TOML or JSON).")
    ] = None,
    fault: Annotated[
        list[str] | None, typer.Option(help="Misbehave: NAME, or NAME=RATE. May be repeated.")
    ] = None,
    tls: Annotated[
        Path | None, typer.Option(help="Serve https with this certificate and key (PEM).")
    ] = None,
) -> None:
    """Be a Billtobox mailbox, for trials: the wire format is the real one."""
    script = read_faults(faults) if faults is not None else []
    planned = [*script, *map(parse_fault, fault or ())]
    if (corpus is None) != (company is None):
        raise typer.BadParameter("--corpus and --company go together")
    if corpus is not None and company is not None:
        mailbox = Mailbox.of_files(corpus, company)
    else:
        mailbox = Mailbox(documents, companies, seed)

    async def listen() -> None:
        stop = Stop(grace=0)
        with stop.heeded():
            async with serve_sandbox(
                mailbox,
                host=host,
                port=port,
                latency=latency / 1000,
                journal=journal,
                faults=Faults(planned, seed),
                tls=tls,
            ) as served:
                if write_config_to is not None:
                    write_config(write_config_to, served, mailbox, tls)
                if manifest is not None:
                    write_manifest(manifest, mailbox)
                print(f"listening on {served.url}", flush=True)
                await stop.requested.wait()

    with _stopped_by_signals(Exit.ALL_WELL):
        _run(listen)


@app.command()
def demo(
    documents: Annotated[int, typer.Option(min=1, help="How many documents.")] = 300,
    directory: Annotated[
        Path | None, typer.Option(help="An empty folder; by default a new temporary one.")
    ] = None,
) -> None:
    """See it work: a mailbox of three companies is brought to their folders on this machine."""
    with _stopped_by_signals(Exit.SOME_FAILED):
        outcome = _run(lambda: demonstrate(Console(), documents, directory))
        _end(outcome)
        if outcome.counters.delivered != documents:
            raise typer.Exit(Exit.SOME_FAILED)


def _end(outcome: Outcome) -> None:
    """Turn what a catch-up came to into the exit status, if it is another than success."""
    if outcome.fault:
        print(f"synqup: {outcome.fault}", file=sys.stderr)
        raise typer.Exit(Exit.FAULT)
    if outcome.failures:
        raise typer.Exit(Exit.SOURCE)
    if outcome.counters.quarantined or outcome.counters.waiting or outcome.stopped:
        raise typer.Exit(Exit.SOME_FAILED)


@contextmanager
def _stopped_by_signals(status: Exit) -> Iterator[None]:
    """Have a command that signals are meant to end do so with this status, in any moment."""
    with signals.caught():
        try:
            yield
        except KeyboardInterrupt:
            raise typer.Exit(status) from None


def _run(work: Callable[[], Awaitable[T]]) -> T:
    """Run in an event loop; of a group of errors raise the first, which brought the rest."""
    signals.keep()
    try:
        return run_loop(work)
    except BaseExceptionGroup as group:
        raise _first(group) from None


def _first(group: BaseException) -> BaseException:
    errors = list(leaves(group))
    return next((one for one in errors if not isinstance(one, CancelledError)), errors[0])


def main() -> None:
    """Run the command line; what its user can mend ends in a sentence, not in a traceback."""
    end(_status())


def _status_of(error: SynqupError) -> Exit:
    match error:
        case ConfigurationError():
            return Exit.USAGE
        case InternalError():
            return Exit.FAULT
        case SourceError() | RetryableError():
            return Exit.SOURCE
        case _:
            return Exit.SOME_FAILED


def _status() -> int:
    """Run the command line and return its exit status."""
    stand_alone()
    try:
        app()
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else int(left.code is not None)
    except SynqupError as error:
        print(f"synqup: {error}", file=sys.stderr)
        return _status_of(error)
    except (KeyboardInterrupt, CancelledError):
        return 128 + signal.SIGINT
    except Exception:  # noqa: BLE001 - a bug: its traceback is what support needs
        print(printable_lines(traceback.format_exc()), file=sys.stderr)
        print("synqup: this is a fault of synqup's own; send the lines above.", file=sys.stderr)
        return Exit.FAULT
    return Exit.ALL_WELL


if __name__ == "__main__":
    main()
