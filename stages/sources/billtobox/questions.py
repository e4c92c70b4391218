"""Billtobox questions: what `synqup init` asks about a source of kind "billtobox"."""

from __future__ import annotations

from stages.setup.questions import Question

QUESTIONS = (
    Question(
        "url",
        {
            "en": "Address of the API, ending in /v4",
            "nl": "Adres van de API, eindigend op /v4",
            "fr": "Adresse de l'API, finissant par /v4",
        },
    ),
    Question(
        "token_url",
        {
            "en": "Address that gives tokens, ending in /protocol/openid-connect/token",
            "nl": "Adres dat tokens geeft, eindigend op /protocol/openid-connect/token",
            "fr": "Adresse qui donne les jetons, finissant par /protocol/openid-connect/token",
        },
    ),
    Question(
        "client_id",
        {
            "en": "Client id that the platform has given this application",
            "nl": "Client-id die het platform aan deze toepassing gaf",
            "fr": "Client id que la plateforme a donné à cette application",
        },
    ),
    Question("client_secret"),
    Question("refresh_token", optional=True),
)
