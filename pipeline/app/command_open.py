"""What `synqup open` does: has the running service sign somebody in on its page, once."""

from __future__ import annotations

import webbrowser
from pathlib import Path

from pipeline.app.output import in_json
from pipeline.app.wiring import load_config
from pipeline.control.client import ask


def open_page(path: Path, *, browser: bool, as_json: bool) -> None:
    """Print the address of the page, and open it there. Raises NoService or ControlError."""
    answer = ask(load_config(path).service.state_dir, "open", {})
    print(in_json(answer) if as_json else answer["address"])
    if browser and not as_json:
        # Where there is none, the address stands above.
        webbrowser.open(answer["address"])
