"""Set-up commands: `init`, and `companies add`, `companies remove`, `companies import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.app.cli_common import ConfigFile, check_text

companies = typer.Typer(
    name="companies",
    help="Add, remove or import companies in the configuration.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Language = Annotated[
    str, typer.Option("--language", help="nl, fr or en; else that of the environment.")
]
Columns = Annotated[
    list[str] | None,
    typer.Option("--column", help="A column that is not recognised: KEY=HEADING, or KEY=NUMBER."),
]
Encoding = Annotated[
    str, typer.Option(help="The encoding of the list, if it is not found out; cp850, say.")
]
Separator = Annotated[str, typer.Option(help="The separator of the list, likewise.")]
LeaveOut = Annotated[
    bool, typer.Option("--leave-out", help="Leave out the lines of the list that are wrong.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Write without asking.")]


def init(
    config: Annotated[
        Path, typer.Option(help="The configuration file that is to be written.")
    ] = Path("synqup.toml"),
    language: Language = "",
    platform: Annotated[str | None, typer.Option(help="The kind of source: billtobox.")] = None,
    source_name: Annotated[
        str | None, typer.Option(help="The name of the source; else its kind.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting of the platform: KEY=VALUE. May be repeated."),
    ] = None,
    secrets: Annotated[
        list[str] | None,
        typer.Option(
            "--secret",
            help="Where a secret lies: KEY=keyring:NAME, KEY=file:PATH or KEY=env:NAME.",
        ),
    ] = None,
    secret_stdin: Annotated[
        list[str] | None,
        typer.Option(help="KEY of a secret that a line of standard input holds; it is stored."),
    ] = None,
    package: Annotated[
        str | None, typer.Option(help="The accounting package: winbooks, bob50, other, …")
    ] = None,
    root: Annotated[str | None, typer.Option(help="The folder below which documents go.")] = None,
    purchases: Annotated[str, typer.Option(help="A path template of its own.")] = "",
    sales: Annotated[str, typer.Option(help="A path template of its own.")] = "",
    statements: Annotated[str, typer.Option(help="A path template of its own.")] = "",
    formats: Annotated[
        str | None, typer.Option(help="ubl, ubl+pdf or pdf; else as the package wants it.")
    ] = None,
    state_dir: Annotated[str, typer.Option(help="The state folder.")] = "state",
    file: Annotated[
        Path | None, typer.Option("--import", help="A list of companies: a CSV file.")
    ] = None,
    from_platform: Annotated[
        bool, typer.Option("--from-platform", help="The companies that the platform itself lists.")
    ] = False,
    company: Annotated[
        list[str] | None,
        typer.Option(
            help='One company: "NAME;NUMBER;FILE_NUMBER;PLATFORM_ID", of which two are needed.'
            " May be repeated."
        ),
    ] = None,
    column: Columns = None,
    encoding: Encoding = "",
    separator: Separator = "",
    leave_out: LeaveOut = False,
    yes: Yes = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that exist.")
    ] = False,
) -> None:
    """Set up a configuration by a dialogue, or by options.

    Nothing is written before the folders that result were shown and agreed to. Exit status: 0
    written, 1 not agreed to, 2 an answer or the list is to be corrected.
    """
    check_text(platform, source_name, *(settings or ()), *(secrets or ()), package, root)
    check_text(purchases, sales, statements, formats, state_dir, *(company or ()), *(column or ()))
    from pipeline.app import command_init
    from pipeline.app.setup_input import ListOptions
    from pipeline.app.setup_source import SourceOptions

    command_init.init(
        command_init.InitOptions(
            config=config,
            language=language,
            source=SourceOptions(
                platform,
                source_name,
                tuple(settings or ()),
                tuple(secrets or ()),
                tuple(secret_stdin or ()),
            ),
            package=package,
            root=root,
            paths={"purchases": purchases, "sales": sales, "statements": statements},
            formats=formats,
            state_dir=state_dir,
            file=file,
            from_platform=from_platform,
            companies=tuple(company or ()),
            listed=ListOptions(tuple(column or ()), encoding, separator, leave_out),
            yes=yes,
            overwrite=overwrite,
        )
    )


@companies.command()
def add(
    name: Annotated[str, typer.Argument(help="The name of the company.")],
    number: Annotated[str, typer.Argument(help="Its enterprise or VAT number.")],
    config: ConfigFile,
    file_number: Annotated[str, typer.Option(help="Its file number in the package.")] = "",
    platform_id: Annotated[str, typer.Option(help="Its id at the platform.")] = "",
    account: Annotated[
        list[str] | None, typer.Option(help="An IBAN of its statements. May be repeated.")
    ] = None,
    source: Annotated[str, typer.Option(help="Its source, if there are several.")] = "",
    language: Language = "",
) -> None:
    """Add one company; a service that runs takes it by itself."""
    check_text(name, number, file_number, platform_id, *(account or ()), source)
    from pipeline.app import command_companies

    command_companies.add(
        config, name, number, file_number, platform_id, account or (), source, language
    )


@companies.command()
def remove(
    numbers: Annotated[list[str], typer.Argument(help="Enterprise or VAT numbers.")],
    config: ConfigFile,
    source: Annotated[str, typer.Option(help="Of this source alone.")] = "",
    language: Language = "",
) -> None:
    """Remove companies; what was delivered stays where it is."""
    check_text(*numbers, source)
    from pipeline.app import command_companies

    command_companies.remove(config, numbers, source, language)


@companies.command("import")
def import_(
    config: ConfigFile,
    file: Annotated[Path | None, typer.Argument(help="A CSV file, as Excel saves it.")] = None,
    from_platform: Annotated[
        str, typer.Option(metavar="SOURCE", help="What this source lists, in place of a file.")
    ] = "",
    column: Columns = None,
    encoding: Encoding = "",
    separator: Separator = "",
    leave_out: LeaveOut = False,
    source: Annotated[str, typer.Option(help="The source of them, if there are several.")] = "",
    update: Annotated[
        bool, typer.Option("--update", help="Change those that are configured otherwise.")
    ] = False,
    yes: Yes = False,
    language: Language = "",
) -> None:
    """Add the companies of a list. Those that are configured already stay as they are.

    Exit status: 0 written, or nothing was new; 1 not agreed to; 2 the list is to be corrected;
    3 the platform does not answer.
    """
    if (file is None) is not bool(from_platform):
        raise typer.BadParameter("name a file, or a source with --from-platform")
    from pipeline.app import command_companies
    from pipeline.app.setup_input import ListOptions

    command_companies.import_(
        config,
        file or from_platform,
        ListOptions(tuple(column or ()), encoding, separator, leave_out),
        source,
        language,
        update=update,
        yes=yes,
    )
