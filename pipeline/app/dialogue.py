"""Dialogue: gets answers from options, or asks for them at a terminal.

Without a terminal nothing is asked: what is missing or wrong is collected, and said at once with
the options that are to be written.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from getpass import getpass
from typing import Protocol, TypeVar

from rich.console import Console
from rich.prompt import Prompt
from rich.text import Text

from pipeline.errors import ConfigurationError
from pipeline.text import printable, printable_lines

T = TypeVar("T")

#: How often an answer may be wrong until the dialogue is given up: whatever types may not be one
#: who reads.
MAX_TRIES = 20


class AnswersRefused(ConfigurationError):
    """Answers that are missing or wrong, by the options that give them."""

    reason = "answers are missing or wrong"


class Say(Protocol):
    """The texts of the dialogue in the user's language."""

    def __call__(self, key: str, /, **values: object) -> str:
        """The text of a key, with its values filled in."""


def is_terminal() -> bool:
    """Whether a person can be asked: both streams are a terminal."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))


class Dialogue:
    """Answers to questions. command: whose options they are, for the sentence of an error."""

    def __init__(self, command: str, console: Console, say: Say) -> None:
        self.console = console
        self.asks = is_terminal()
        self._command = command
        self._say = say
        self._problems: list[str] = []

    def text(
        self,
        option: str,
        given: str | None,
        question: str,
        check: Callable[[str], T],
        default: str = "",
        *,
        hidden: bool = False,
        optional: bool = False,
        assumed: bool = True,
    ) -> T | None:
        """The answer to an open question, as `check` returns it; None if it is wrong or missing.

        option: that gives the answer, as it is written. given: what it said. check: raises
        ValueError with what is wrong. optional: whether an empty answer is one, which gives None.
        assumed: whether the default is taken where nobody can be asked.
        """
        if given is None and not self.asks:
            if default and assumed:
                given = default
            elif optional:
                return None
            else:
                self._problems.append(f"{option}: this answer is missing; write {option}")
                return None
        if given is not None:
            try:
                return check(given)
            except ValueError as error:
                self._problems.append(f"{option}: {error}")
                return None
        for _ in range(MAX_TRIES):
            answer = self._read(option, question, default, hidden=hidden)
            if not answer and optional:
                return None
            try:
                return check(answer)
            except ValueError as error:
                self.print(self._say("say.again", reason=error), "red")
        raise AnswersRefused(self._command, [f"{option}: no answer was right; write {option}"])

    def choice(
        self,
        option: str,
        given: str | None,
        question: str,
        choices: Mapping[str, str],
        default: str = "",
    ) -> str | None:
        """One of several answers, by its name or its number; None if it is wrong or missing.

        choices: by name, what each means.
        """
        names = list(choices)

        def check(answer: str) -> str:
            wanted = answer.strip().lower()
            if wanted.isascii() and wanted.isdigit() and 1 <= int(wanted) <= len(names):
                return names[int(wanted) - 1]
            for name in names:
                if wanted in (name.lower(), choices[name].lower()):
                    return name
            raise ValueError(
                self._say("say.none_of", answer=printable(answer), known=", ".join(names))
            )

        if given is None and self.asks:
            self.print(question)
            for number, (name, meaning) in enumerate(choices.items(), 1):
                same = name.lower() == meaning.lower()
                self.print(f"  {number}  {name}" + ("" if same else f"  {meaning}"))
            question = self._say("say.choose")
        return self.text(option, given, question, check, default)

    def confirm(self, option: str, given: bool, question: str) -> bool:
        """Whether the user agrees; the option says so beforehand."""
        yes, no = self._say("ask.yes"), self._say("ask.no")

        def check(answer: str) -> bool:
            wanted = answer.strip().lower()[:1]
            if wanted not in (yes, no, "y"):
                raise ValueError(f"{yes} / {no}")
            return wanted != no

        wanted = yes if given else None
        return bool(self.text(option, wanted, f"{question} ({yes}/{no})", check))

    def add_problem(self, problem: str) -> None:
        """Add that an option is wrong or missing."""
        self._problems.append(problem)

    def check(self) -> None:
        """Raise AnswersRefused if answers are missing or wrong, with all of them."""
        if self._problems:
            raise AnswersRefused(self._command, self._problems)

    def print(self, text: str, style: str = "") -> None:
        """Print a sentence; what came from outside can't control the terminal."""
        self.console.print(Text(printable_lines(text), style=style), soft_wrap=True)

    def _read(self, option: str, question: str, default: str, *, hidden: bool) -> str:
        shown = f"{question} [{default}]" if default else question
        try:
            if hidden:
                # It turns the echo off before it asks, which the prompts of rich do the other way.
                return getpass(f"{printable(shown)}: ").strip()
            answer = Prompt.ask(Text(printable(shown), style="bold"), console=self.console)
        except EOFError:
            raise AnswersRefused(
                self._command, [f"{option}: the input has ended before this answer; write {option}"]
            ) from None
        return answer.strip() or default


def named_values(option: str, given: Sequence[str], dialogue: Dialogue) -> dict[str, str]:
    """The values of an option that is repeated as KEY=VALUE."""
    found: dict[str, str] = {}
    for one in given:
        key, equals, value = one.partition("=")
        if not equals or not key.strip():
            dialogue.add_problem(f'{option}: "{one}" is no KEY=VALUE')
        elif key.strip() in found:
            dialogue.add_problem(f"{option}: {key.strip()} is given twice")
        else:
            found[key.strip()] = value
    return found
