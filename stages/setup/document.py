"""Configuration writer: a new configuration as commented TOML, and the list of its companies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import tomlkit
from msgspec import Struct
from tomlkit.items import Item

from stages.setup.companies import NewCompany
from stages.setup.texts import Texts


class NewConfig(Struct, frozen=True):
    """A configuration that is to be written.

    package: the name of the accounting package. list_file: the file of the companies, relative to
    it. delivery, source: the keys of [delivery] and of the one [[sources]], in their order.
    """

    package: str
    list_file: str
    state_dir: str
    delivery: Mapping[str, str]
    source: Mapping[str, Any]


def config_text(new: NewConfig, texts: Texts) -> str:
    """The text of the configuration file."""
    document = tomlkit.document()
    document.add(tomlkit.comment(texts("comment.head")))
    document.add(tomlkit.comment(texts("comment.docs")))
    document.add(tomlkit.nl())
    document.add("include", tomlkit.item(new.list_file).comment(texts("comment.include")))
    document.add(tomlkit.nl())
    service = tomlkit.table()
    service.add("state_dir", tomlkit.item(new.state_dir).comment(texts("comment.state")))
    service.add(tomlkit.nl())
    document.add("service", service)
    delivery = tomlkit.table()
    delivery.comment(texts("comment.delivery", package=new.package))
    for key, value in new.delivery.items():
        item = tomlkit.item(value)
        delivery.add(key, item.comment(texts("comment.formats")) if key == "formats" else item)
    delivery.add(tomlkit.nl())
    document.add("delivery", delivery)
    source = tomlkit.table()
    source.comment(texts("comment.sources"))
    for key, value in new.source.items():
        source.add(key, toml_value(value))
    sources = tomlkit.aot()
    sources.append(source)
    document.add("sources", sources)
    return tomlkit.dumps(document)


def list_text(companies: Iterable[NewCompany], texts: Texts) -> str:
    """The text of the file with the companies."""
    comment = texts("comment.companies")
    return f"# {comment}\n" + companies_text(companies)


def companies_text(companies: Iterable[NewCompany]) -> str:
    """Companies as rows of [[companies]], each after an empty line."""
    lines: list[str] = []
    for company in companies:
        lines += ["", "[[companies]]"]
        lines += [f"{key} = {toml_value(value).as_string()}" for key, value in company.keys.items()]
    return "\n".join([*lines, ""])


def toml_value(value: Any) -> Item:
    """A value as an item of TOML; a table stands in one line."""
    if isinstance(value, Mapping):
        table = tomlkit.inline_table()
        table.update(value)
        return table
    item: Item = tomlkit.item(value)
    return item
