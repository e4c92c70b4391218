"""Catalogs: the translations of one domain into one language, as gettext (.po) has them.

They are read as they are written: there is nothing to compile beforehand.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from importlib.resources import files

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from msgspec import Struct

from pipeline.language.codes import DEFAULT


class Domain(Struct, frozen=True):
    """Texts that are translated together. package: in its folder `locale` are the catalogs."""

    package: str
    name: str


#: What errors say, by who says it or of what: see `sentences`.
SENTENCES = tuple(
    Domain("pipeline.language", name)
    for name in ("sentences", "service", "documents", "sources", "systems")
)


def catalog(code: str, domain: Domain) -> NullTranslations:
    """The translations of a domain; of English there are none."""
    if code == DEFAULT:
        return NullTranslations()
    compiled = io.BytesIO()
    write_mo(compiled, read_po(io.StringIO(_source(code, domain)), locale=code))
    compiled.seek(0)
    return Translations(compiled, domain.name)


def messages(code: str, domain: Domain) -> Mapping[str, str]:
    """What a catalog says for each text without a plural."""
    if code == DEFAULT:
        return {}
    found = read_po(io.StringIO(_source(code, domain)), locale=code)
    return {
        one.id: one.string
        for one in found
        if one.id and isinstance(one.id, str) and isinstance(one.string, str)
    }


def _source(code: str, domain: Domain) -> str:
    place = files(domain.package) / "locale" / code / f"{domain.name}.po"
    return place.read_text("utf-8")
