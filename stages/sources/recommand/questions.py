"""Recommand questions: what `synqup init` asks about a source of kind "recommand"."""

from __future__ import annotations

from stages.setup.questions import Question

QUESTIONS = (
    Question(
        "api_key",
        {
            "en": "Recommand: the key of the team (its first part)",
            "nl": "Recommand: de sleutel van het team (het eerste deel)",
            "fr": "Recommand : la clé de l'équipe (la première partie)",
        },
    ),
    Question(
        "api_secret",
        {
            "en": "Recommand: the secret of that key",
            "nl": "Recommand: het geheim van die sleutel",
            "fr": "Recommand : le secret de cette clé",
        },
    ),
)
