"""What `synqup classify` does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from pipeline.app import output
from pipeline.app.wiring import classify_among, classify_file, load_config


def print_classifications(
    files: Sequence[Path], company: str, config: Path | None, mailbox: str, *, as_json: bool
) -> None:
    """Print what each file is: for one company, or among all of a configuration if one is given."""
    companies = load_config(config).companies if config is not None else ()
    for path in files:
        found = (
            classify_among(path, companies, mailbox)
            if config is not None
            else classify_file(path, company)
        )
        if as_json:
            print(output.in_json(found), flush=True)
        else:
            output.file_classification(Console(), found)
