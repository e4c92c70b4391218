"""Configuration writer: makes a configuration with which Synqup works on a sandbox at once."""

from __future__ import annotations

import json
import os
from pathlib import Path

from stages.sandbox.companies import Company
from stages.sandbox.mailbox import Mailbox
from stages.sandbox.server import Sandbox

SECTIONS = """\
# Made by `synqup sandbox`, for trials; paths are relative to this file.
[service]
state_dir = "state"
poll_interval = "5m"

[delivery]
purchases  = "out/[enterprise_name]_[enterprise_identifier]/achats"
sales      = "out/[enterprise_name]_[enterprise_identifier]/ventes"
statements = "out/[enterprise_name]_[enterprise_identifier]/coda"

[[sources]]
"""


def write_config(
    path: Path,
    sandbox: Sandbox,
    mailbox: Mailbox,
    ca_file: Path | None = None,
    proxy: str | None = None,
) -> None:
    """Write the configuration, and the client's secret into a file beside it (mode 0600).

    ca_file: the certificate that vouches for a sandbox with https. proxy: the setting of that name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    secret = path.with_name(f"{path.name}.secret")
    _write_secret(secret, sandbox.client_secret)
    kind = _string(sandbox.wire.kind)
    lines = [
        f"name = {kind}",
        f"kind = {kind}",
        f"url = {_string(sandbox.url)}",
        f"token_url = {_string(sandbox.token_url)}",
        f"client_id = {_string(sandbox.client_id)}",
        f"client_secret = {{ file = {_string(secret.name)} }}",
    ]
    if ca_file is not None:
        lines.append(f"ca_file = {_string(str(ca_file.resolve()))}")
    if proxy is not None:
        lines.append(f"proxy = {_string(proxy)}")
    lines += [f"{key} = {_string(value)}" for key, value in sandbox.wire.settings(mailbox).items()]
    companies = [_company(company, kind) for company in mailbox.companies]
    text = "\n".join([SECTIONS + "\n".join(lines), *companies])
    path.write_text(text, encoding="utf-8")


def _company(company: Company, source: str) -> str:
    return f"""
[[companies]]
name = {_string(company.name)}
identifier = {_string(company.identifier)}
accounting_file_id = {_string(company.accounting_file_id)}
source = {source}
platform_id = {_string(company.platform_id)}
"""


def _string(text: str) -> str:
    """A basic string of TOML, which escapes as JSON does."""
    return json.dumps(text, ensure_ascii=False)


def _write_secret(path: Path, secret: str) -> None:
    # The mode is given to new files only, so an old file is replaced.
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(f"{secret}\n")
