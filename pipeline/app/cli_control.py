"""Control commands: what can be asked of documents and sources, and looked up of documents."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.app.cli_common import AsJson, ConfigFile, check_text

Ids = Annotated[
    list[str] | None,
    typer.Argument(metavar="[ID]...", help="Documents by their ids, as find and show tell them."),
]
Company = Annotated[str, typer.Option(help="The number or the name of a company.")]


def poll(
    config: ConfigFile,
    source: Annotated[str | None, typer.Argument(metavar="[SOURCE]", help="Its name.")] = None,
    json: AsJson = False,
) -> None:
    """Have the service poll a source now, or all of them.

    Exit status: 0 it does, 1 no service runs or it is paused, 2 there is no such source.
    """
    check_text(source)
    from pipeline.app.command_control import control

    control(config.resolve(), "poll", {"source": source}, as_json=json)


def open_page(
    config: ConfigFile,
    browser: Annotated[bool, typer.Option(help="Open it in the browser.")] = True,
    json: AsJson = False,
) -> None:
    """Open the page of the service, signed in as operator.

    The link that it prints is good once, for two minutes.

    Exit status: 0 here is its address, 1 no service runs, or it has no page.
    """
    from pipeline.app.command_open import open_page as open_it

    open_it(config.resolve(), browser=browser, as_json=json)


def pause(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Its name.")],
    config: ConfigFile,
    json: AsJson = False,
) -> None:
    """Poll a source no more until `resume`, also after a restart."""
    check_text(source)
    from pipeline.app.command_control import control

    control(config.resolve(), "pause", {"source": source}, as_json=json)


def resume(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Its name.")],
    config: ConfigFile,
    json: AsJson = False,
) -> None:
    """Poll a source again that is paused."""
    check_text(source)
    from pipeline.app.command_control import control

    control(config.resolve(), "resume", {"source": source}, as_json=json)


def find(
    text: Annotated[list[str], typer.Argument(metavar="TEXT...")],
    config: ConfigFile,
    limit: Annotated[int, typer.Option(min=1, max=500, help="Documents at most.")] = 50,
    json: AsJson = False,
) -> None:
    """Find documents by what is known of them.

    That is number, counterparty, company, amount, day, file name, SHA-256 or id.
    """
    check_text(*text)
    from pipeline.app.command_find import print_found

    print_found(config.resolve(), " ".join(text), limit, as_json=json)


def show(
    id: Annotated[str, typer.Argument(metavar="ID")],  # noqa: A002 - as it is called
    config: ConfigFile,
    pdf: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write it as a readable PDF, too.")
    ] = None,
    language: Annotated[
        str, typer.Option(help="Of that PDF: nl, fr or en; else that of the environment.")
    ] = "",
    json: AsJson = False,
) -> None:
    """Tell the whole story of one document.

    Exit status: 0 there is one, 1 it can't be shown as a PDF, 2 there is none of that id.
    """
    check_text(id)
    from pipeline.app.command_find import print_story

    if pdf is not None:
        from pipeline.app.command_readable import write_pdf

        write_pdf(config.resolve(), id, pdf, language)
    print_story(config.resolve(), id, as_json=json)


def retry(
    config: ConfigFile,
    ids: Ids = None,
    reason: Annotated[
        str, typer.Option(help="All that have failed for a reason with these words.")
    ] = "",
    json: AsJson = False,
) -> None:
    """Try quarantined or waiting documents again.

    Exit status: 0 done or begun, 1 it could not be, 2 there is no such document.
    """
    check_text(*(ids or ()), reason)
    if bool(ids) is bool(reason):
        raise typer.BadParameter("name documents, or give --reason")
    from pipeline.app.command_control import control

    control(config.resolve(), "retry", {"reason": reason}, ids or (), as_json=json)


def redeliver(
    config: ConfigFile,
    ids: Ids = None,
    company: Company = "",
    first: Annotated[
        str, typer.Option("--from", help="The first day of delivery, or a month: 2026-01-31.")
    ] = "",
    last: Annotated[str, typer.Option("--to", help="The last day of delivery; today.")] = "",
    into: Annotated[
        str, typer.Option(metavar="FOLDER", help="Where to; else where they belong.")
    ] = "",
    json: AsJson = False,
) -> None:
    """Deliver documents once more, each under a name of its own.

    Exit status: 0 done or begun, 1 one could not be, 2 there is no such document or company.
    """
    check_text(*(ids or ()), company, first, last, into)
    if bool(ids) is bool(company or first or last):
        raise typer.BadParameter("name documents, or give --company, or days with --from and --to")
    from pipeline.app.command_control import control

    arguments = {
        "company": company,
        "first": first,
        "last": last,
        "into": str(Path(into).absolute()) if into else "",
    }
    control(config.resolve(), "redeliver", arguments, ids or (), as_json=json)


def assign(
    id: Annotated[str, typer.Argument(metavar="ID")],  # noqa: A002 - as it is called
    config: ConfigFile,
    company: Company,
    kind: Annotated[str, typer.Option(help="purchase, sales or statement.")],
    reason: Annotated[str, typer.Option(help="Why; the ledger keeps it.")],
    json: AsJson = False,
) -> None:
    """Deliver a quarantined document to a company's folder, by hand.

    Exit status: 0 done or begun, 1 it could not be, 2 there is no such document or company.
    """
    check_text(id, company, kind, reason)
    from pipeline.app.command_control import control

    arguments = {"company": company, "kind": kind, "reason": reason}
    control(config.resolve(), "assign", arguments, (id,), as_json=json)
