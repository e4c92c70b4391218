"""What `synqup show --pdf` does: writes a document as a PDF that people read.

The running service makes it, which may ask the platform for the document; without one, it is made
of what is kept here.
"""

from __future__ import annotations

from functools import partial
from io import BytesIO
from pathlib import Path

import anyio
import msgspec
import typer

from pipeline.app.command_find import one_key
from pipeline.app.wiring import (
    ReadableDocuments,
    copies_in,
    ledger_place,
    load_config,
    quarantine_in,
)
from pipeline.app.wiring_setup import LANGUAGES, language_of
from pipeline.control.client import NoService, ask
from pipeline.durable import replace_file
from pipeline.errors import ControlError
from pipeline.files import os_reason
from pipeline.readable import Readable

#: Permissions of the file, before the umask.
MODE = 0o640


def write_pdf(path: Path, name: str, file: Path, language: str) -> None:
    """Write the document that a person means into a file. SynqupError if that can't be done."""
    language = language or language_of()
    if language not in LANGUAGES:
        raise typer.BadParameter(f'--language: "{language}" is none of {", ".join(LANGUAGES)}')
    settings = load_config(path)
    state_dir = settings.service.state_dir
    ledger = ledger_place(settings)
    key = one_key(ledger, name)
    asked = {"key": (key.source, key.id, key.revision), "language": language}
    try:
        found = msgspec.convert(ask(state_dir, "readable", asked), Readable)
    except NoService:
        alone = ReadableDocuments(
            ledger, copies_in(state_dir), quarantine_in(state_dir), lambda: settings, None
        )
        found = anyio.run(partial(alone.readable, key, language))
    try:
        replace_file(file, BytesIO(found.pdf), MODE)
    except OSError as error:
        raise ControlError(str(file), f"it can't be written: {os_reason(error)}") from None
