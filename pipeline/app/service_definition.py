"""Service definition of a configuration: what a service manager has to know of it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from pipeline.app.exit_codes import ExitCode
from pipeline.app.service_manager.definition import ServiceDefinition
from pipeline.app.wiring import Config, roots_of
from pipeline.config.include import config_files
from pipeline.config.types import Secret


def define_service(name: str, path: Path, config: Config, account: str) -> ServiceDefinition:
    """Define the service that runs by the configuration file at `path`, which says `config`."""
    secrets = list(_secrets(config))
    return ServiceDefinition(
        name=name,
        config=path,
        program=program(),
        installed_in=tuple(sorted({Path(sys.prefix), Path(sys.base_prefix)})),
        account=account,
        state_dir=config.service.state_dir,
        folders=tuple(sorted({*roots_of(config), *_shared(config)})),
        included=config_files(path)[1:],
        secret_files=tuple(sorted({Path(one.file) for one in secrets if one.file})),
        variables=tuple(sorted({one.env for one in secrets if one.env})),
        shutdown_grace=config.service.shutdown_grace,
        misconfigured=ExitCode.USAGE,
    )


def _shared(config: Config) -> tuple[Path, ...]:
    return (config.cluster.shared_dir,) if config.cluster is not None else ()


def program() -> tuple[str, ...]:
    """The command line that starts this very program: its script, or the interpreter and module."""
    started_as = Path(sys.argv[0])
    beside = Path(sys.executable).with_name("synqup")
    found = shutil.which(started_as) if started_as.name == "synqup" else None
    for script in (found, beside):
        if script and os.access(script, os.X_OK):
            return (os.path.abspath(script),)  # noqa: PTH100 - resolve() would follow its links
    return (sys.executable, "-m", "pipeline.app.cli")


def _secrets(value: object) -> Iterator[Secret]:
    """All places of secrets in the configuration, in whichever section they stand."""
    if isinstance(value, Secret):
        yield value
    elif isinstance(value, Struct):
        for name in value.__struct_fields__:
            yield from _secrets(getattr(value, name))
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _secrets(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _secrets(one)
