"""Push findings: what `synqup check` and `status` say of pushes.

[push] and a source's push_secret belong together: the one without the other does nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.app.wiring import Config, Finding, SourceSettings
from pipeline.config.secrets import SecretMissing, read_secret


def push_addresses(config: Config) -> Mapping[str, str]:
    """Where the pushes of each source that takes them come in."""
    if config.push.address is None:
        return {}
    return {one.name: config.push.url_of(one.name) for one in config.sources if one.pushed_by}


def push_findings(config: Config) -> list[Finding]:
    """Of each source that could be pushed to, whether it is; nothing where none is meant to be."""
    is_on = config.push.address is not None
    able = [one for one in config.sources if one.can_be_pushed]
    if is_on and not any(one.pushed_by for one in able):
        return [
            Finding(
                "service",
                False,
                f"[push] listens at {config.push.listen}, and no source has a push_secret: all are"
                " only polled; write push_secret into [[sources]], or remove [push]",
            )
        ]
    found = []
    for one in able:
        if one.pushed_by and not is_on:
            found.append(
                Finding(
                    "service",
                    False,
                    f"source {one.name}: it has a push_secret, and nothing listens for pushes: it"
                    ' is only polled; write listen = "127.0.0.1:8471" into [push], or remove'
                    " push_secret",
                )
            )
        elif one.pushed_by:
            found.append(_finding(config, one))
        elif is_on:
            found.append(
                Finding(
                    "service", True, f"source {one.name}: it has no push_secret: it is only polled"
                )
            )
    return found


def _finding(config: Config, source: SourceSettings) -> Finding:
    secret = source.pushed_by
    assert secret is not None
    try:
        read_secret(secret)
    except SecretMissing as missing:
        return Finding("service", False, f"source {source.name}, push_secret: {missing}")
    where = config.push.url_of(source.name)
    if config.push.address is not None and config.push.address.is_loopback:
        where += ", from this machine alone: by a proxy with TLS that the platform reaches"
    return Finding("service", True, f"source {source.name}: pushes are taken at {where}")
