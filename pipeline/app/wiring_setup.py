"""Composition root of the set-up: what `synqup init` and `synqup companies` need of the stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from pkgutil import resolve_name

from pipeline.source import FoundCompany, Source
from pipeline.turns import Turns
from stages.configuration import load_config as load
from stages.flow import STAGE_NAMES
from stages.naming.templates import variables
from stages.settings import Company, Config, SourceSettings
from stages.setup.columns import headings, score
from stages.setup.companies import (
    FORMATS,
    NewCompany,
    Reading,
    of_source,
    read_companies,
    without_doubles,
    without_file_number,
)
from stages.setup.document import NewConfig, config_text, list_text
from stages.setup.edit import add_companies, change_companies, remove_companies
from stages.setup.found import usable
from stages.setup.numbers import read_accounts, read_identifier, tidy
from stages.setup.packages import LONGEST_PATH, Package, load_package, package_ids
from stages.setup.paths import CompanyPaths, Longest, company_paths, longest_of
from stages.setup.problems import ListRefused, Problem, Trouble
from stages.setup.questions import SettingQuestion, kind_of, setting_value
from stages.setup.tables import read_table
from stages.setup.texts import LANGUAGES, Texts, language_of
from stages.sources.registry import CONNECTORS, Connector, open_source, questions_of

__all__ = [
    "FORMATS",
    "LANGUAGES",
    "LONGEST_PATH",
    "PLATFORMS",
    "Company",
    "CompanyPaths",
    "Config",
    "Connector",
    "ListRefused",
    "Longest",
    "NewCompany",
    "NewConfig",
    "Package",
    "Problem",
    "Reading",
    "SettingQuestion",
    "SourceSettings",
    "Texts",
    "Trouble",
    "add_companies",
    "change_companies",
    "companies_at",
    "company_paths",
    "config_text",
    "headings",
    "language_of",
    "list_text",
    "lists_companies",
    "load_candidate",
    "load_package",
    "longest_of",
    "of_source",
    "package_ids",
    "questions_of",
    "read_accounts",
    "read_companies",
    "read_identifier",
    "read_table",
    "remove_companies",
    "score",
    "setting_value",
    "tidy",
    "usable",
    "variables",
    "without_doubles",
    "without_file_number",
]

#: The connectors by the `kind` that users write.
PLATFORMS = {kind_of(connector.settings): connector for connector in CONNECTORS}


def lists_companies(connector: Connector) -> bool:
    """Whether a platform has a list of the companies that one may see."""
    return resolve_name(connector.source).companies is not Source.companies


async def companies_at(
    settings: SourceSettings, state_dir: Path, turns: Turns | None = None
) -> Sequence[FoundCompany] | None:
    """The companies that a source lists; None if it has no list. SynqupError if it can't say.

    state_dir, turns: as open_source() takes them.
    """
    source = open_source(settings, state_dir, turns)
    try:
        return await source.companies()
    finally:
        await source.close()


def load_candidate(path: Path, edited: Mapping[Path, bytes]) -> Config:
    """Read and check a configuration as it would be with these contents of its files.

    Raises ConfigurationError.
    """
    return load(path, STAGE_NAMES, tuple(one.settings for one in CONNECTORS), edited)
