"""Page languages: the page in each of them, and which one a browser wants."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from babel.core import negotiate_locale

from pipeline.language.catalogs import Domain
from pipeline.language.codes import DEFAULT, LOCALES
from pipeline.language.languages import Language

#: The texts of the page.
PAGE = Domain("pipeline.monitor.page", "page")
#: Characters of Accept-Language that are read.
MAX_HEADER = 500


def negotiated(header: str) -> str:
    """The code of the language that an Accept-Language header wants most (RFC 9110, 12.5.4)."""
    wanted: list[tuple[float, str]] = []
    for part in header[:MAX_HEADER].split(","):
        tag, _, parameters = part.strip().partition(";")
        name, _, weight = parameters.strip().partition("=")
        try:
            quality = float(weight) if name.strip().lower() == "q" else 1.0
        except ValueError:
            quality = 0.0
        if tag and quality > 0:
            wanted.append((-quality, tag.strip().replace("-", "_")))
    tags = [tag for _, tag in sorted(wanted, key=lambda one: one[0])]
    return (negotiate_locale(tags, list(LOCALES), sep="_") or DEFAULT).lower()


@cache
def languages() -> Mapping[str, Language]:
    """All of them by their codes; reading them takes some 50 ms."""
    return {code: Language(code, PAGE) for code in LOCALES}
