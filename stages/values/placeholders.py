"""Placeholders: values that mean "none", and numbers that somebody made up to fill a field."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from stages.values.identifiers import compact
from stages.values.text import plain

#: Words that say that there is no number, or that it is not a real one, without accents.
_NONE = frozenset(
    {
        *("NA", "NVT", "NB", "NAN", "NULL", "NIL", "NIHIL", "NONE"),
        *("NOT", "NOTHING", "UNKNOWN", "UNDEFINED", "UNSPECIFIED", "MISSING", "EMPTY"),
        "VOID",
        *("EXEMPT", "EXEMPTED", "UNREGISTERED", "PENDING", "TBD", "TBA", "TBC", "TODO"),
        *("TEST", "TESTING", "DUMMY", "SAMPLE", "EXAMPLE"),
        *("PLACEHOLDER", "DEMO", "PRIVATE", "CONSUMER", "AVAILABLE", "TEMP", "TEMPORARY"),
        *("NOTPROVIDED", "NOTAVAILABLE", "NOTAPPLICABLE", "ZERO", "FALSE", "NC", "ND"),
        *("GEEN", "NIET", "ONBEKEND", "LEEG", "VRIJGESTELD", "PARTICULIER", "VOORBEELD"),
        *("AANGEVRAAGD", "AANVRAAG", "VRIJ", "NTB", "VOLGT", "VOORLOPIG", "EINDGEBRUIKER"),
        *("AUCUN", "AUCUNE", "INCONNU", "INCONNUE", "NEANT", "NON", "SANS", "VIDE"),
        *("EXONERE", "EXONEREE", "EXEMPLE", "EXEMPTE", "HORS", "PAS", "FRANCHISE", "COURS"),
        *("PRIVE", "PARTICULIERS"),
        *("KEINE", "KEIN", "KEINER", "KEINES", "KEINEN", "UNBEKANNT", "NICHT", "LEER"),
        *("BEFREIT", "BEISPIEL", "PRIVAT", "PRIVATPERSON"),
        *("ENTFAELLT", "ENTFALLT", "OHNE", "KA", "KLEINUNTERNEHMER", "KLEINUNTERNEHMERIN"),
        *("STEUERFREI", "PRIVATKUNDE", "ENDKUNDE"),
        *("NESSUN", "NESSUNO", "NESSUNA", "SCONOSCIUTO", "SCONOSCIUTA", "ESENTE"),
        "PRIVATO",
        *("NINGUNO", "NINGUNA", "DESCONOCIDO", "DESCONOCIDA", "SIN", "EXENTO", "APLICA"),
        "TIENE",
        *("NENHUM", "NENHUMA", "DESCONHECIDO", "NAO", "SEM", "ISENTO"),
        *("BRAK", "NIEZNANY", "NIE", "NIEMA", "ZADNY", "ZADNE", "NEZNAME", "NEZNAMY"),
        *("NENI", "NEPLATCE", "NEMA"),
        *("INGEN", "INGET", "INTET", "INGA", "UKENDT", "OKAND", "UKJENT", "IKKE"),
        *("EJ", "SAKNAS", "MANGLER"),
        *("EI", "TUNTEMATON", "PUUDUB", "PUUTTUU", "TUNDMATU", "NINCS", "ISMERETLEN"),
        *("NUEXISTA", "NECUNOSCUT", "FARA", "LIPSA", "NERA", "NEPLATITOR", "ZWOLNIONY", "YOK"),
        *("NEZINAMS", "NEZINOMA", "NEPOZNATO", "NEZNANO", "ΚΑΝΕΝΑ", "ΑΓΝΩΣΤΟ"),  # noqa: RUF001
        *("ΔΕΝ", "ΧΩΡΙΣ", "НЯМА", "НЕТ", "НЕМА", "НЕИЗВЕСТНО"),  # noqa: RUF001
    }
)
#: Words of laws that say why there is none: art. 44, § 19 UStG, article 293 B du CGI.
_LAWS = frozenset({"ART", "ARTICLE", "ARTIKEL", "ARTICULO", "ARTIGO", "ARTICOLO", "USTG", "CGI"})
#: Names of such numbers, which say nothing by themselves.
_LABELS = frozenset(
    {
        *("VAT", "BTW", "TVA", "UST", "USTID", "USTIDNR", "USTIDENTNR", "MWST"),
        *("MVA", "MOMS", "IVA", "NIF", "CIF", "NIP", "PVM", "DPH"),
        *("DIC", "ICO", "KM", "AFM"),
        *("TAX", "ID", "IDNR", "NR", "NUM", "NUMBER", "NUMMER", "NUMERO"),
        *("NO", "N", "NUMER", "REG", "REGNR", "KBO", "BCE", "CBE"),
        *("EN", "ON", "RPR", "RPM"),
        *("COMPANY", "ENTERPRISE", "ONDERNEMINGSNUMMER", "ONDERNEMING", "ENTREPRISE"),
        *("SIREN", "SIRET", "KVK", "CVR", "GLN", "DUNS", "LEI"),
        *("REF", "HRB", "HRA", "UID", "TIN", "EORI", "ORG", "ORGNR"),
    }
)
#: The countries that stand in front of VAT numbers.
_COUNTRIES = frozenset(
    {
        *("AD", "AL", "AT", "BA", "BE", "BG", "CH", "CHE"),
        *("CY", "CZ", "DE", "DK", "EE", "EL", "ES", "EU"),
        *("FI", "FR", "GB", "GR", "HR", "HU", "IE", "IM"),
        *("IS", "IT", "LI", "LT", "LU", "LV", "MC", "ME"),
        *("MK", "MT", "NL", "NO", "PL", "PT", "RO", "RS"),
        *("SE", "SI", "SK", "SM", "TR", "UA", "UK", "US"),
        *("XI", "XK"),
    }
)

_SCHEME = re.compile(r"^(?:ISO6523-ACTORID-UPIS::?)?[0-9]{4}:")
_TOKENS = re.compile(r"[0-9]+|[^\W\d_]+")
#: Single letters between dots or slashes are one word: N/A, n.v.t.
_INITIALS = re.compile(r"(?<![^\W_])(?:[^\W\d_][./ \-]+)+[^\W\d_](?![^\W_])")
#: What is no digit in front of and behind the digits of a made-up number: a country, the letter or
#: two that its numbers have, the end of a Dutch, Norwegian or Swiss one.
_AROUND = re.compile(r"[A-Z]{0,4}([0-9]+)(?:B[0-9]{2}|MVA|MWST|TVA|IVA|[A-Z])?")
#: Digits of a made-up number, at least: that are all the same, and that count.
_MADE_UP = 5
_COUNTED = 8
#: Digits that check the others, at most.
_CHECKS = 2
_ASCENDING = "0123456789" * 2
_DESCENDING = _ASCENDING[::-1]
#: Letters of a country.
_COUNTRY = 2
#: Letters in place of digits: BE0XXX.XXX.XXX.
_BLANKS = 3
_CROSSES = re.compile(rf"X{{{_BLANKS},}}")


def is_placeholder(value: str) -> bool:
    """Whether a value identifies nobody: it says "none", or is a number that is made up."""
    return says_none(value) or is_made_up(value)


@lru_cache(4096)
def says_none(value: str) -> bool:
    """Whether a value means "none": no letter and no digit, only zeros, or words that say so."""
    if "@" in value:
        return False
    text = _folded(_SCHEME.sub("", plain(value).upper()))
    text = _INITIALS.sub(lambda match: re.sub(r"[./ \-]", "", match[0]), text)
    tokens = _TOKENS.findall(text)
    digits = "".join(token for token in tokens if token.isdigit())
    words = [token for token in tokens if not token.isdigit()]
    if significant := digits.strip("0"):
        # Beside such words so few digits are an article of a law.
        return len(significant) < _MADE_UP and any(
            _CROSSES.fullmatch(word) or word in _NONE or word in _LAWS for word in words
        )
    if any(map(_is_blank, words)):
        return True
    if digits:
        # Letters that are no country may stand for one: XX00000000.
        return all(_is_label(word) or word in _NONE or len(word) <= _COUNTRY for word in words)
    return any(word in _NONE for word in words) or all(map(_is_label, words))


@lru_cache(4096)
def is_made_up(value: str) -> bool:
    """Whether the digits of a number are all the same, or count up or down, as nobody's are.

    Behind digits that count up there may be two that check them, and behind zeros as well.
    """
    match = _AROUND.fullmatch(compact(_SCHEME.sub("", plain(value).upper())))
    if match is None:
        return False
    digits = match[1]
    significant = digits.lstrip("0")
    if len(significant) >= _MADE_UP and len(set(significant)) == 1:
        return True
    if len(digits) > _COUNTED and len(significant) <= _CHECKS:
        return True
    if len(digits) < _COUNTED or significant[:1] not in {"1", "9"}:
        return False
    counted = digits[:-_CHECKS] if len(digits) > _COUNTED else digits
    return counted in _ASCENDING or digits in _DESCENDING


def _is_label(word: str) -> bool:
    return word in _LABELS or word in _COUNTRIES


def _is_blank(word: str) -> bool:
    """Whether a word is one letter again and again, or an X in place of a number."""
    return word == "X" or (len(word) >= _BLANKS and len(set(word)) == 1)


def _folded(text: str) -> str:
    """Return a text without accents, and with the digits of ASCII for those of any script."""
    if text.isascii():
        return text
    parts = unicodedata.normalize("NFKD", text)
    bare = "".join(one for one in parts if not unicodedata.combining(one)).replace("Ø", "O")
    return "".join(str(unicodedata.decimal(one, one)) for one in bare)
