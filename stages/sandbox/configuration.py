"""Configuration writer: makes a configuration with which Synqup works on a sandbox at once."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct
from yarl import URL

from stages.sandbox.companies import Company
from stages.sandbox.mailbox import Mailbox
from stages.sandbox.platform import Sandbox, SecretText, Value
from stages.sandbox.wire import Wire

SECTIONS = """\
# Made by `synqup sandbox`, for trials; paths are relative to this file.
[service]
state_dir = "state"
poll_interval = "5m"

[delivery]
purchases  = "out/[enterprise_name]_[enterprise_identifier]/achats"
sales      = "out/[enterprise_name]_[enterprise_identifier]/ventes"
statements = "out/[enterprise_name]_[enterprise_identifier]/coda"

"""


class Served(Struct, frozen=True):
    """A sandbox with its mailbox, as one source of a configuration."""

    sandbox: Sandbox
    mailbox: Mailbox


def write_config(
    path: Path,
    sandbox: Sandbox,
    mailbox: Mailbox,
    ca_file: Path | None = None,
    proxy: str | None = None,
    *,
    by_person: bool = False,
) -> None:
    """Write a configuration, and its secrets into files beside it (mode 0600).

    ca_file: the certificate that vouches for a sandbox with https. proxy: the setting of that name.
    by_person: whether a person has to sign in, by `synqup sign-in`.
    """
    write_config_of_all(path, [Served(sandbox, mailbox)], ca_file, proxy, by_person=by_person)


def write_config_of_all(
    path: Path,
    all_served: Sequence[Served],
    ca_file: Path | None = None,
    proxy: str | None = None,
    *,
    by_person: bool = False,
) -> None:
    """Write a configuration with several sources, each of another kind; as write_config()."""
    path.parent.mkdir(parents=True, exist_ok=True)
    secrets = _Secrets(path)
    sections = [SECTIONS]
    pushed = [url for one in all_served if (url := URL(one.sandbox.platform.push_url))]
    if pushed:
        address = f"{pushed[0].host}:{pushed[0].port}"
        sections.append(f"[push]\nlisten = {_string(address)}\n")
    memberships: dict[str, tuple[Company, list[tuple[str, str | None]]]] = {}
    for served in all_served:
        platform = served.sandbox.platform
        keys = dict(platform.section(served.sandbox, served.mailbox, by_person=by_person))
        if isinstance(platform, Wire):
            if ca_file is not None:
                keys["ca_file"] = ca_file.resolve()
            if proxy is not None:
                keys["proxy"] = proxy
        keys = {"name": platform.kind, "kind": platform.kind, **keys}
        lines = [f"{key} = {secrets.toml(value)}" for key, value in keys.items()]
        sections.append("\n".join(["[[sources]]", *lines, ""]))
        for company in served.mailbox.companies:
            found = memberships.setdefault(company.identifier, (company, []))
            found[1].append((platform.kind, platform.membership(company)))
    sections += [_company(company, sources) for company, sources in memberships.values()]
    path.write_text("\n".join(sections), encoding="utf-8")


def write_companies(path: Path, mailbox: Mailbox) -> None:
    """Write the companies as a list that `synqup companies import` reads (CSV, by semicolons)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, delimiter=";")
        rows.writerow(["Naam", "Ondernemingsnummer", "Dossiernummer", "platform_id"])
        for one in mailbox.companies:
            rows.writerow([one.name, one.identifier, one.accounting_file_id, one.platform_id])


def _company(company: Company, sources: Sequence[tuple[str, str | None]]) -> str:
    lines = [
        "[[companies]]",
        f"name = {_string(company.name)}",
        f"identifier = {_string(company.identifier)}",
        f"accounting_file_id = {_string(company.accounting_file_id)}",
    ]
    if len(sources) == 1:
        ((source, id_),) = sources
        lines.append(f"source = {_string(source)}")
        if id_ is not None:
            lines.append(f"platform_id = {_string(id_)}")
    else:
        tables = [
            f"{{ source = {_string(source)}" + (f", id = {_string(id_)}" if id_ else "") + " }"
            for source, id_ in sources
        ]
        lines.append(f"sources = [{', '.join(tables)}]")
    return "\n".join([*lines, ""])


def _string(text: str) -> str:
    """A basic string of TOML, which escapes as JSON does."""
    return json.dumps(text, ensure_ascii=False)


class _Secrets:
    """Writes values as TOML, and the secrets among them into files beside the configuration."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._count = 0

    def toml(self, value: Value) -> str:
        """A value as it stands in a configuration."""
        match value:
            case SecretText(text=text):
                return f"{{ file = {_string(self._write(text))} }}"
            case bool() | int() | float():
                return json.dumps(value)
            case str() | Path():
                return _string(str(value))
            case Mapping():
                inside = ", ".join(f"{key} = {self.toml(one)}" for key, one in value.items())
                return f"{{ {inside} }}"
            case _:
                return f"[{', '.join(map(self.toml, value))}]"

    def _write(self, text: str) -> str:
        self._count += 1
        suffix = "secret" if self._count == 1 else f"secret{self._count}"
        path = self._path.with_name(f"{self._path.name}.{suffix}")
        _write_secret(path, text)
        return path.name


def _write_secret(path: Path, secret: str) -> None:
    # The mode is given to new files only, so an old file is replaced.
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(f"{secret}\n")
