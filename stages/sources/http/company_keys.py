"""Company keys: the section of a source at whose platform each company has a key of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from msgspec import Struct, structs

from pipeline.config.loader import LoadContext
from pipeline.config.types import Secret, absolute, not_blank
from stages.values.identifiers import company_identifier


class CompanyKey(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[[sources.keys]]: the key of one company.

    name, identifier: of the company, as in [[companies]]; one of the two is enough.
    """

    secret: Secret
    name: Annotated[str, not_blank] = ""
    identifier: Annotated[str, company_identifier] = ""

    @property
    def label(self) -> str:
        """The company for people."""
        return self.name or self.identifier


K = TypeVar("K", bound=CompanyKey)


def check_keys(keys: Sequence[CompanyKey], key: str, context: LoadContext) -> None:
    """Check that each key says whose it is, and that no two are of one company.

    key: of the section.
    """
    seen: dict[tuple[str, object], str] = {}
    for number, one in enumerate(keys, 1):
        place = f"{key}.keys[{number}]"
        if one is None or not context.is_valid(place, "name", "identifier", "secret"):
            continue
        if not one.label:
            context.add_problem(
                f"{place}.identifier", "this is missing", "write the number of its company"
            )
        for name in ("name", "identifier", "secret"):
            if not (value := getattr(one, name)):
                continue
            first = seen.setdefault((name, value), f"keys[{number}]")
            if first != f"keys[{number}]":
                context.add_problem(
                    f"{place}.{name}",
                    f"{first} has the same; each company has a key of its own",
                    "remove or correct one of them",
                )


def located_keys(keys: Sequence[K], base: Path) -> tuple[K, ...]:
    """The same keys, with the paths of their secrets absolute."""
    return tuple(structs.replace(one, **_located(one, base)) for one in keys)


def _located(key: CompanyKey, base: Path) -> dict[str, Any]:
    given = {name: getattr(key, name) for name in key.__struct_fields__}
    return {
        name: structs.replace(value, file=str(absolute(base, value.file)))
        for name, value in given.items()
        if isinstance(value, Secret) and value.file is not None
    }
