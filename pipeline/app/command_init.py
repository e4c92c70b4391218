"""What `synqup init` does."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import typer
from msgspec import Struct

from pipeline.app.dialogue import Dialogue
from pipeline.app.exit_codes import ExitCode
from pipeline.app.setup_companies import CompanyOptions, CompanyQuestions
from pipeline.app.setup_input import ListOptions
from pipeline.app.setup_output import setup_console, show_paths
from pipeline.app.setup_platform import as_answered, platform_companies
from pipeline.app.setup_secrets import missing, store
from pipeline.app.setup_source import SourceAnswers, SourceOptions, ask_source
from pipeline.app.wiring_setup import (
    FORMATS,
    LANGUAGES,
    NewCompany,
    NewConfig,
    Package,
    Texts,
    config_text,
    language_of,
    list_text,
    load_candidate,
    load_package,
    of_source,
    package_ids,
    variables,
)
from pipeline.config.rewrite import editing, write_files
from pipeline.config.types import output_path
from pipeline.durable import make_folder
from pipeline.errors import ConfigurationError
from pipeline.files import os_reason, read_file

COMMAND = "synqup init"


class InitOptions(Struct, frozen=True):
    """The options of `synqup init`; None or empty for an answer that is still to be given."""

    config: Path
    language: str
    source: SourceOptions
    package: str | None
    root: str | None
    paths: Mapping[str, str]
    formats: str | None
    state_dir: str
    file: Path | None
    from_platform: bool
    companies: tuple[str, ...]
    listed: ListOptions
    yes: bool
    overwrite: bool


def init(options: InitOptions) -> None:
    """Ask what is missing, show what results, and write a configuration with its companies."""
    language = options.language or language_of()
    if language not in LANGUAGES:
        raise typer.BadParameter(f'--language: "{language}" is none of {", ".join(LANGUAGES)}')
    texts, console = Texts(language), setup_console()
    dialogue = Dialogue(COMMAND, console, texts)
    path = options.config.resolve()
    companies_file = _companies_file(path)
    before = _existing((path, companies_file), overwrite=options.overwrite)
    if dialogue.asks:
        dialogue.print(texts("say.welcome"))

    source = ask_source(options.source, dialogue, texts)
    package = _ask_package(options, dialogue, texts)
    root, delivery = _ask_delivery(options, package, dialogue, texts)
    label, keys = (package.name if package else ""), (source.keys if source else {})
    new = NewConfig(label, companies_file.name, options.state_dir, delivery, keys)

    def ask_platform() -> Sequence[NewCompany]:
        assert source is not None
        with as_answered(path, new, source, texts) as answered:
            (at,) = answered.sources
            return platform_companies(at, answered, dialogue, texts)

    wanted = CompanyOptions(
        options.companies,
        options.file,
        options.from_platform,
        options.listed,
        any("accounting_file_id" in variables(one) for one in delivery.values()),
    )
    if not dialogue.asks and not options.yes:
        dialogue.add_problem("--yes: this answer is missing; write --yes to have it written")
    companies = CompanyQuestions(wanted, dialogue, texts).ask(keys.get("kind", ""), ask_platform)
    assert source is not None
    assert package is not None
    companies = [of_source(company, source.keys["name"]) for company in companies]
    after = {
        companies_file: list_text(companies, texts).encode(),
        path: config_text(new, texts).encode(),
    }
    show_paths(console, load_candidate(path, after), package.longest_path, texts)
    if not dialogue.confirm("--yes", options.yes, texts("ask.write")):
        dialogue.check()
        dialogue.print(texts("say.nothing"))
        raise typer.Exit(ExitCode.INCOMPLETE)
    _write(path, after, before, source)
    dialogue.print(texts("say.written", files=f"{path}, {companies_file}"))
    _tell(package, root, delivery, dialogue, texts)
    for key, (place, _) in source.secrets.items():
        if reason := missing(place, path.parent):
            dialogue.print(texts("say.empty_secret", key=key, reason=reason), "yellow")
    dialogue.print(texts("say.next", config=options.config))


def _companies_file(path: Path) -> Path:
    """The file of the companies, beside the configuration."""
    prefix = "" if path.stem == "synqup" else f"{path.stem}-"
    return path.with_name(f"{prefix}companies.toml")


def _existing(paths: Sequence[Path], *, overwrite: bool) -> dict[Path, bytes]:
    """What the files hold that exist. Raises ConfigurationError unless they are to be replaced."""
    found: dict[Path, bytes] = {}
    for path in paths:
        if not os.path.lexists(path):
            continue
        if not overwrite:
            problem = "it exists; name another with --config, or replace it with --overwrite"
            raise ConfigurationError(str(path), [problem])
        try:
            found[path] = read_file(path, 2**26)
        except OSError as error:
            problem = f"it can't be replaced: {os_reason(error)}"
            raise ConfigurationError(str(path), [problem]) from None
    return found


def _ask_package(options: InitOptions, dialogue: Dialogue, texts: Texts) -> Package | None:
    names = {one: load_package(one).name for one in package_ids()}
    chosen = dialogue.choice("--package", options.package, texts("ask.package"), names)
    return load_package(chosen) if chosen is not None else None


def _ask_delivery(
    options: InitOptions, package: Package | None, dialogue: Dialogue, texts: Texts
) -> tuple[str, dict[str, str]]:
    """The folder below which documents go, and the keys of [delivery]."""
    if package is None:
        if options.root is None and not all(options.paths.values()):
            dialogue.add_problem("--root: this answer is missing; write --root")
        return "", {}
    paths = {key: value for key, value in options.paths.items() if value}
    root = package.usual_root
    if options.root is not None or len(paths) < len(options.paths):
        asked = texts("ask.root")
        # Without a person the folder has to be said: documents lie there for good.
        found = dialogue.text("--root", options.root, asked, _folder, root, assumed=False)
        root = found or root
    formats = dialogue.choice(
        "--formats",
        options.formats,
        texts("ask.formats"),
        dict(
            zip(
                FORMATS,
                (texts("ask.format_ubl"), texts("ask.format_ubl_pdf"), texts("ask.format_pdf")),
                strict=True,
            )
        ),
        package.formats,
    )
    return root, {
        **package.paths(root),
        **paths,
        "invoice_name": package.invoice_name,
        "statement_name": package.statement_name,
        "formats": formats or package.formats,
    }


def _folder(text: str) -> str:
    """A folder as it is written in the configuration. Raises ValueError."""
    if os.name == "nt":
        text = text.replace("\\", "/")
    if set(text) & set("[]"):
        raise ValueError("a folder with brackets would be taken for a variable; name another")
    return output_path(text)


def _write(
    path: Path, after: Mapping[Path, bytes], before: Mapping[Path, bytes], source: SourceAnswers
) -> None:
    try:
        make_folder(path.parent, 0o755)
    except OSError as error:
        problem = f"its folder can't be made: {os_reason(error)}"
        raise ConfigurationError(str(path), [problem]) from None
    with editing(path):
        store(source.secrets, path.parent, COMMAND)
        write_files(after, before)


def _tell(
    package: Package, root: str, delivery: Mapping[str, str], dialogue: Dialogue, texts: Texts
) -> None:
    """Say what the package itself has to be told, and how sure that is."""
    folders = {key: delivery[key] for key in ("purchases", "sales", "statements")}
    dialogue.print("")
    dialogue.print(texts("say.tell", package=package.name), "bold")
    dialogue.print(package.tell[texts.language].format(root=root, **folders))
    if any(fact.source.startswith("ours") for fact in package.facts):
        dialogue.print(texts("say.unconfirmed", file=f"stages/setup/packages/{package.id}.toml"))
    dialogue.print("")
