"""`synqup sign-in`: signs a person in to one source, beside a service that may be running."""

from __future__ import annotations

from pathlib import Path

from pipeline.app.loop import run_loop
from pipeline.app.node_turns import node_turns
from pipeline.app.sign_in import open_in_browser, sign_in
from pipeline.app.typed_lines import typed_lines
from pipeline.app.wiring import load_config, open_sign_in
from pipeline.config.loader import suggestion
from pipeline.errors import ConfigurationError
from pipeline.sign_in import SignInState, described
from pipeline.text import printable


def sign_in_to(path: Path, source: str, *, browser: bool) -> None:
    """Sign in to a source by its name. Raises SynqupError."""
    config = load_config(path)
    sources = {settings.name: settings for settings in config.sources}
    if source not in sources:
        right = suggestion(source, list(sources), '"{}"')
        raise ConfigurationError(str(path), [f'there is no source "{source}"; {right}'])
    opens = open_in_browser if browser else None
    with node_turns(config.cluster) as turns:
        flow = open_sign_in(sources[source], config.shared_dir, turns)

        async def run() -> SignInState:
            return await sign_in(source, flow, typed_lines(), opens, _say)

        state = run_loop(run)
    _say(f"source {source}: {described(state)}.")
    _say("A service that is running goes on with it; nothing has to be restarted.")


def _say(text: str) -> None:
    print("\n".join(map(printable, text.split("\n"))), flush=True)
