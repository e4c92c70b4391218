"""Set-up of a source: asks what its connector declares, and where its secrets lie."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from pipeline.app.dialogue import Dialogue, named_values
from pipeline.app.setup_secrets import ask_place, ask_value
from pipeline.app.wiring_setup import (
    PLATFORMS,
    Connector,
    SettingQuestion,
    Texts,
    questions_of,
    setting_value,
)


class SourceOptions(Struct, frozen=True):
    """The options about a source.

    platform: the `kind` that users write. settings, secrets: KEY=VALUE and KEY=PLACE. from_input:
    the keys of secrets that lines of standard input hold.
    """

    platform: str | None
    name: str | None
    settings: tuple[str, ...]
    secrets: tuple[str, ...]
    from_input: tuple[str, ...]


class SourceAnswers(Struct, frozen=True):
    """The answers about a source.

    keys: of its section, in their order. secrets: by key, the place and the value, if it was given.
    """

    keys: dict[str, Any]
    secrets: dict[str, tuple[Mapping[str, str], str]]


def ask_source(options: SourceOptions, dialogue: Dialogue, texts: Texts) -> SourceAnswers | None:
    """Ask what the connector of a platform declares; None if the platform is not known."""
    kinds = {kind: kind for kind in PLATFORMS}
    only = next(iter(kinds)) if len(kinds) == 1 and dialogue.asks else ""
    kind = dialogue.choice("--platform", options.platform, texts("ask.platform"), kinds, only)
    given = named_values("--set", options.settings, dialogue)
    places = named_values("--secret", options.secrets, dialogue)
    if kind is None:
        return None
    connector = PLATFORMS[kind]
    name = (options.name or "").strip() or kind
    questions = {one.key: one for one in questions_of(connector)}
    answers = SourceAnswers({"name": name, "kind": kind}, {})
    for key, question in questions.items():
        if not question.is_secret:
            answer = _ask_setting(question, given.get(key), dialogue, texts)
            if answer is not None:
                answers.keys[key] = answer
        elif key in places or not question.optional:
            from_input = key in options.from_input
            _ask_secret(key, places.get(key), from_input, answers, dialogue, texts)
    for key in sorted(given.keys() - questions.keys()):
        _add_setting(connector, key, given[key], answers, dialogue)
    secrets = {key for key, question in questions.items() if question.is_secret}
    for option, named in (("--secret", places), ("--secret-stdin", options.from_input)):
        for key in named:
            if key not in secrets:
                dialogue.add_problem(f"{option}: {kind} has no secret {key}")
    return answers


def _add_setting(
    connector: Connector, key: str, text: str, answers: SourceAnswers, dialogue: Dialogue
) -> None:
    """Take a setting that is not asked for, if the section has it."""
    try:
        answers.keys[key] = setting_value(connector.settings, key, text)
    except ValueError as error:
        dialogue.add_problem(f"--set {key}=VALUE: {error}")


def _ask_setting(
    question: SettingQuestion, given: str | None, dialogue: Dialogue, texts: Texts
) -> Any:
    words = question.ask.get(texts.language) or texts("ask.setting", key=question.key)
    option = f"--set {question.key}=VALUE"
    return dialogue.text(
        option, given, words, question.value_of, question.default, optional=question.optional
    )


def _ask_secret(
    key: str,
    given: str | None,
    from_input: bool,
    answers: SourceAnswers,
    dialogue: Dialogue,
    texts: Texts,
) -> None:
    place = ask_place(key, given, answers.keys["name"], dialogue, texts)
    if place is not None:
        value = ask_value(key, place, dialogue, texts, from_input=from_input)
        answers.keys[key], answers.secrets[key] = place, (place, value)
