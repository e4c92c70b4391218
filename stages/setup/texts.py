"""Text catalogue: what the set-up says, in Dutch, French and English."""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from stages.setup.problems import Problem

LANGUAGES = ("nl", "fr", "en")
#: Variables of POSIX that say the language, the one that counts most first.
_VARIABLES = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")
#: The primary languages of Windows (winnt.h, LANG_DUTCH and LANG_FRENCH).
_WINDOWS = {0x13: "nl", 0x0C: "fr"}


class Texts:
    """The texts in one language."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._texts = _catalogue(language)

    def __call__(self, key: str, /, **values: object) -> str:
        """The text of a key, such as "ask.platform", with its values filled in."""
        return self._texts[key].format(**values)

    def problem(self, problem: Problem) -> str:
        """The sentence of a problem, with its line."""
        said = self(f"problem.{problem.text.replace('-', '_')}", **problem.values)
        return self("problem.line", line=problem.line, problem=said) if problem.line else said


def language_of(environment: Mapping[str, str] = os.environ) -> str:
    """The language of a user, by the environment; English unless it says Dutch or French."""
    for name in _VARIABLES:
        if value := environment.get(name):
            # LANGUAGE may hold several: nl_BE:fr.
            for one in value.split(":"):
                if one[:2].lower() in LANGUAGES:
                    return one[:2].lower()
            return "en"
    if sys.platform == "win32":
        import ctypes  # noqa: PLC0415 - windll exists nowhere else

        language = ctypes.windll.kernel32.GetUserDefaultUILanguage() & 0x3FF
        return _WINDOWS.get(language, "en")
    return "en"


@cache
def _catalogue(language: str) -> Mapping[str, str]:
    text = files("stages.setup").joinpath("texts", f"{language}.toml").read_text("utf-8")
    return {
        f"{section}.{key}": said
        for section, texts in tomllib.loads(text).items()
        for key, said in texts.items()
    }
