"""Package presets: what each accounting package expects, from one small data file for each.

A preset says of each of its facts where it is from: the vendor, a third party, or ours.
"""

from __future__ import annotations

import sys
import tomllib
from importlib.resources import files

import msgspec
from msgspec import Struct

#: The folder below which documents go where the package is on another machine.
ROOT = "/srv/synqup"
#: Characters of a path that Windows takes without long paths (Microsoft, "Maximum Path Length
#: Limitation": 260 with the NUL at its end).
LONGEST_PATH = 259


class Folders(Struct, frozen=True, forbid_unknown_fields=True):
    """Where documents go: a usual folder of Windows, and path templates below it."""

    windows: str
    purchases: str
    sales: str
    statements: str


class Fact(Struct, frozen=True, forbid_unknown_fields=True):
    """Where what a preset says is from."""

    about: str
    source: str


class Package(Struct, frozen=True, forbid_unknown_fields=True):
    """The preset of one accounting package.

    id: the name of its file. invoice_name, statement_name: file names, in whose order it imports.
    longest_path: characters of folder and file name together. tell: by language, what the package
    itself has to be told, with {root}, {purchases}, {sales} and {statements}.
    """

    name: str
    formats: str
    invoice_name: str
    statement_name: str
    longest_path: int
    folders: Folders
    tell: dict[str, str]
    facts: tuple[Fact, ...]
    id: str = ""

    @property
    def usual_root(self) -> str:
        """The folder below which documents usually go on this system."""
        return self.folders.windows if sys.platform == "win32" else ROOT

    def paths(self, root: str) -> dict[str, str]:
        """The path templates below a folder, by their keys in [delivery]."""
        folders = self.folders
        below = {
            "purchases": folders.purchases,
            "sales": folders.sales,
            "statements": folders.statements,
        }
        return {key: f"{root.rstrip('/')}/{path}" for key, path in below.items()}


def package_ids() -> tuple[str, ...]:
    """The ids of all presets, in order of the alphabet, but `other` last."""
    names = [one.name for one in files("stages.setup").joinpath("packages").iterdir()]
    ids = sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))
    return (*(one for one in ids if one != "other"), "other")


def load_package(id_: str) -> Package:
    """The preset of an id of package_ids()."""
    text = files("stages.setup").joinpath("packages", f"{id_}.toml").read_text("utf-8")
    return msgspec.convert({**tomllib.loads(text), "id": id_}, Package)
