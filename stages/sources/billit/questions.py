"""Billit questions: what `synqup init` asks about a source of kind "billit"."""

from __future__ import annotations

from stages.setup.questions import Question
from stages.sources.billit.settings import FEEDS

QUESTIONS = (
    Question(
        "door",
        {
            "en": 'Where they come from: "feeds" (clients of an accountant) or "inbox" (Peppol)',
            "nl": 'Vanwaar documenten komen: "feeds" (klanten van een kantoor) of "inbox" (Peppol)',
            "fr": 'Viennent de : "feeds" (clients d\'un bureau) ou "inbox" (Peppol)',
        },
        default=FEEDS,
    ),
    Question(
        "feed",
        {
            "en": 'Feeds: name of the feed, of this installation alone, like "firm-1"',
            "nl": 'Feeds: naam van de feed, enkel van deze installatie, zoals "kantoor-1"',
            "fr": 'Feeds : nom du feed, de cette seule installation, comme "bureau-1"',
        },
        optional=True,
    ),
    Question(
        "api_key",
        {
            "en": "API key, for one's own administration; nothing for a sign-in by a person",
            "nl": "API-sleutel, voor de eigen administratie; niets om als persoon aan te melden",
            "fr": "Clé API, pour sa propre administration ; rien pour la connexion d'une personne",
        },
        optional=True,
    ),
    Question(
        "client_id",
        {
            "en": "Sign-in: client id that Billit has given this application",
            "nl": "Aanmelden: client-id die Billit aan deze toepassing gaf",
            "fr": "Connexion : client id que Billit a donné à cette application",
        },
        optional=True,
    ),
    Question("client_secret", optional=True),
    Question("redirect_uri", optional=True),
    Question(
        "party_id",
        {
            "en": "PartyID of the firm itself",
            "nl": "PartyID van het kantoor zelf",
            "fr": "PartyID du bureau lui-même",
        },
        optional=True,
    ),
)
