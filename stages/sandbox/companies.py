"""Companies of the sandbox: invented names, and numbers with valid check digits."""

from __future__ import annotations

import unicodedata
from itertools import product
from random import Random

from msgspec import Struct
from stdnum.be import vat as be_vat
from stdnum.eu import vat as eu_vat

#: Trades, surnames, kinship and legal forms of each language.
DUTCH = (
    ("Bakkerij", "Garage", "Schrijnwerkerij", "Drukkerij", "Tuinaanleg", "Dakwerken", "Apotheek"),
    ("Peeters", "D'Hondt", "Van den Broeck", "Claes", "'t Kint", "Verhaeghe", "De Smet", "Maes"),
    ("", " & Zonen", " & Dochters"),
    ("BV", "NV", "VOF"),
)
FRENCH = (
    ("Boulangerie", "Café", "Menuiserie", "Imprimerie", "Électricité", "Brasserie", "Librairie"),
    ("Dupré", "Lefèvre", "Noël", "L'Hoest", "Gérard", "Delcourt", "François", "Thiry"),
    ("", " & Fils", " Frères"),
    ("SRL", "SA", "SNC"),
)
NAMES = tuple(
    (surname, f"{trade} {surname}{kin} {form}")
    for language in (DUTCH, FRENCH)
    for trade, surname, kin, form in product(*language)
)
STREETS = ("Stationsstraat", "Kerkstraat", "Rue de l'Église", "Grand-Place", "Chaussée de Liège")
CITIES = (
    ("1000", "Bruxelles"),
    ("2000", "Antwerpen"),
    ("3000", "Leuven"),
    ("4000", "Liège"),
    ("5000", "Namur"),
    ("7000", "Mons"),
    ("8000", "Brugge"),
    ("9000", "Gent"),
)
#: The protocol number with which the accounts of a bank begin, and its BIC.
BANKS = (("001", "GEBABEBB"), ("068", "GKCCBEBB"), ("310", "BBRUBEBB"), ("734", "KREDBEBB"))

FIRST_PLATFORM_ID = 100_000

#: So many serial numbers have enterprise numbers of their own.
SERIALS = 1_000_000
#: Coprime to SERIALS and to the number of names, so that neighbours share little.
STRIDE = 601_451


class Company(Struct, frozen=True):
    """A company of the mailbox and of its documents.

    identifier: canonical VAT number, BE and ten digits. iban: its first account.
    platform_id: its own id at the platform.
    """

    name: str
    identifier: str
    accounting_file_id: str
    platform_id: str
    street: str = ""
    postcode: str = ""
    city: str = ""
    iban: str = ""
    bic: str = ""

    @property
    def number(self) -> str:
        """The enterprise number: ten digits."""
        return self.identifier[2:]


def invent_company(seed: int, serial: int) -> Company:
    """Make the company of a serial number below SERIALS; each has its own enterprise number."""
    offset = Random(f"{seed}/companies").randrange(SERIALS)
    surname, name = NAMES[(offset + STRIDE * serial) % len(NAMES)]
    rng = Random(f"{seed}/company/{serial}")
    postcode, city = rng.choice(CITIES)
    iban, bic = invent_account(rng)
    letters = "".join(filter(str.isalpha, to_ascii(surname))).upper()
    return Company(
        name=name,
        identifier=f"BE{_enterprise_number((offset + STRIDE * serial) % SERIALS)}",
        accounting_file_id=f"{letters[:5]}{serial + 1:02}",
        platform_id=str(FIRST_PLATFORM_ID + serial),
        street=f"{rng.choice(STREETS)} {rng.randrange(1, 200)}",
        postcode=postcode,
        city=city,
        iban=iban,
        bic=bic,
    )


def named_company(identifier: str) -> Company:
    """Make a company from its number alone, in any spelling, Belgian or not."""
    bare = identifier.rpartition(":")[2]
    if be_vat.is_valid(bare):
        identifier = f"BE{be_vat.compact(bare)}"
    elif eu_vat.is_valid(identifier):
        identifier = eu_vat.compact(identifier)
    return Company("Sandbox company", identifier, "SANDBOX", str(FIRST_PLATFORM_ID))


def invent_account(rng: Random) -> tuple[str, str]:
    """Make an IBAN whose national and international check digits are valid, and its BIC."""
    bank, bic = rng.choice(BANKS)
    digits = f"{bank}{rng.randrange(10**7):07}"
    account = digits + check_digits(digits)
    # ISO 13616: the country BE as 11 14, then 00 in the place of the check digits.
    return f"BE{98 - int(account + '111400') % 97:02}{account}", bic


def check_digits(digits: str) -> str:
    """Modulo 97 with 97 for 0, as in Belgian account numbers and structured communications."""
    return f"{int(digits) % 97 or 97:02}"


def to_ascii(text: str) -> str:
    """The text in ASCII, without accents, as CODA and file numbers need it."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


def _enterprise_number(serial: int) -> str:
    # 01xx.xxx.xxx passes the check but lies below the numbers in use, which begin at 02.
    root = 1_000_000 + serial
    return f"{root:08}{97 - root % 97:02}"
