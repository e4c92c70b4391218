"""CodaBox questions: what `synqup init` asks about a source of kind "codabox"."""

from __future__ import annotations

from stages.setup.questions import Question

QUESTIONS = (
    Question(
        "software_company",
        {
            "en": "Key that CodaBox has given to this software (X-Software-Company)",
            "nl": "Sleutel die CodaBox aan deze software gaf (X-Software-Company)",
            "fr": "Clé que CodaBox a donnée à ce logiciel (X-Software-Company)",
        },
    ),
    Question(
        "vat",
        {
            "en": "Number of the firm, to which CodaBox mails the one-time token",
            "nl": "Nummer van het kantoor, waarnaar CodaBox de eenmalige token mailt",
            "fr": "Numéro du bureau, auquel CodaBox envoie le jeton à usage unique",
        },
        # Who has user and password already needs none.
        optional=True,
    ),
    Question("password", optional=True),
)
