"""A connector brings its own section of the configuration, and its checks."""

from __future__ import annotations

from pathlib import Path
from pkgutil import resolve_name

import pytest

from pipeline.config.loader import LoadContext
from pipeline.errors import ConfigurationError
from pipeline.source import Source
from stages.configuration import load_config
from stages.flow import STAGE_NAMES
from stages.sandbox.platform import Platform
from stages.settings import Config, SourceSettings
from stages.sources.registry import CONNECTORS, SECTIONS, platform_of
from tests.helpers.settings import GOOD, load


class Sftp(SourceSettings, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="sftp"):
    """The section of a connector that this test brings."""

    host: str
    key: Path = Path("id_ed25519")

    def validate(self, base: Path, key: str, context: LoadContext) -> None:
        if context.is_valid(key, "host") and not self.host:
            context.add_problem(f"{key}.host", "there is no host", "write one")


def test_a_connector_brings_its_own_section_with_its_checks(tmp_path: Path) -> None:
    begin, end = GOOD.index("[[sources]]"), GOOD.index("[[companies]]")
    text = GOOD.replace(
        GOOD[begin:end], '[[sources]]\nname = "billtobox"\nkind = "sftp"\nhost = "h"\n'
    )

    def read(text: str) -> Config:
        (tmp_path / "synqup.toml").write_text(text, "utf-8")
        return load_config(tmp_path / "synqup.toml", STAGE_NAMES, (*SECTIONS, Sftp))

    (source,) = read(text).sources
    assert source == Sftp(name="billtobox", host="h", key=tmp_path / "id_ed25519")
    assert read(GOOD).sources == load(tmp_path, GOOD).sources
    known = sorted({*(one.kind for one in CONNECTORS), "sftp"})
    for old, new, said in (
        ('"h"', '""', "sources[1].host (billtobox): there is no host; write one"),
        ('"sftp"', '"sfpt"', 'there is no kind "sfpt"; did you mean "sftp"?'),
        (
            '"sftp"',
            '"x"',
            'there is no kind "x"; known are ' + ", ".join(f'"{kind}"' for kind in known),
        ),
        (
            "host",
            "hosts",
            'sources[1].hosts (billtobox): there is no such key; did you mean "host"?',
        ),
    ):
        with pytest.raises(ConfigurationError) as refused:
            read(text.replace(old, new))
        assert any(said in problem for problem in refused.value.problems), refused.value.problems


def test_each_connector_names_what_there_is() -> None:
    for one in CONNECTORS:
        assert issubclass(resolve_name(one.source), Source)
        assert issubclass(resolve_name(one.platform), Platform)


def test_each_connector_has_a_kind_of_its_own() -> None:
    kinds = [str(one.settings.__struct_config__.tag) for one in CONNECTORS]
    assert len(set(kinds)) == len(kinds)
    assert [platform_of(one).kind for one in CONNECTORS] == kinds
