"""Set-up from a platform: the companies that its own list has, where it has one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import structs

from pipeline.app.dialogue import Dialogue
from pipeline.app.lock import single_instance
from pipeline.app.logging import configure_logging
from pipeline.app.loop import run_loop
from pipeline.app.node_turns import node_turns
from pipeline.app.setup_source import SourceAnswers
from pipeline.app.wiring_setup import (
    Config,
    ListRefused,
    NewCompany,
    NewConfig,
    SourceSettings,
    Texts,
    companies_at,
    config_text,
    list_text,
    load_candidate,
    of_source,
    usable,
)
from pipeline.durable import make_folder

#: Companies that can't be taken which are named one by one.
MAX_NAMED = 100
#: Stands in for the companies that are still to be asked for.
_ANYBODY = NewCompany("x", "BE0403170701", "x", "x")


def platform_companies(
    settings: SourceSettings, config: Config, dialogue: Dialogue, texts: Texts
) -> Sequence[NewCompany]:
    """The companies that a platform lists, those without a usable number being left out by name.

    SynqupError if it does not answer; ListRefused if it has no list, or nobody in it.
    """
    configure_logging(None, quiet=True)
    with ExitStack() as stack:
        if settings.exclusive_sign_in:
            # The token is good for one sign-in, and a service that runs needs it.
            make_folder(config.service.state_dir, 0o750)
            stack.enter_context(single_instance(config.service.state_dir))
        turns = stack.enter_context(node_turns(config.cluster))
        found = run_loop(partial(companies_at, settings, config.shared_dir, turns))
    if found is None:
        raise ListRefused(settings.name, [texts("problem.no_list")])
    companies, left_out = usable(found)
    dialogue.print(texts("say.found", count=len(found), name=settings.name))
    for one in left_out[:MAX_NAMED]:
        reason = texts.problem(one.problem)
        dialogue.print(texts("say.left_out", name=one.name, reason=reason), "yellow")
    if len(left_out) > MAX_NAMED:
        dialogue.print(texts("say.more", count=len(left_out) - MAX_NAMED), "yellow")
    if not companies:
        raise ListRefused(settings.name, [texts("problem.none")])
    return companies


@contextmanager
def as_answered(
    path: Path, new: NewConfig, source: SourceAnswers, texts: Texts
) -> Iterator[Config]:
    """The configuration that these answers would give, before anything of it is written.

    path: where it is to be. Secrets that were given and are not in their places yet are in the
    environment of this process meanwhile. Raises ConfigurationError.
    """
    keys: dict[str, Any] = dict(source.keys)
    given: dict[str, str] = {}
    for number, (key, (_, value)) in enumerate(source.secrets.items()):
        if value:
            name = f"SYNQUP_SETUP_SECRET_{number}"
            keys[key], given[name] = {"env": name}, value
    anybody = of_source(_ANYBODY, str(keys["name"]))
    new = structs.replace(new, source=keys)
    after: Mapping[Path, bytes] = {
        path: config_text(new, texts).encode(),
        path.with_name(new.list_file): list_text([anybody], texts).encode(),
    }
    os.environ.update(given)
    try:
        yield load_candidate(path, after)
    finally:
        for name in given:
            os.environ.pop(name, None)
