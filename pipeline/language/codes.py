"""Language codes: which languages there are. This imports nothing, as it is all that many need."""

from __future__ import annotations

from collections.abc import Mapping

#: The languages by their codes, with the locale of numbers and dates.
LOCALES: Mapping[str, str] = {"nl": "nl_BE", "fr": "fr_BE", "en": "en_GB"}
#: How each language names itself.
NAMES: Mapping[str, str] = {"nl": "Nederlands", "fr": "Français", "en": "English"}
#: The language in which the texts stand in the code.
DEFAULT = "en"
