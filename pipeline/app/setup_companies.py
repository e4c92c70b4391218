"""Set-up of companies: those of options, of the platform, of a list, or typed one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct

from pipeline.app.dialogue import Dialogue
from pipeline.app.setup_input import (
    ListOptions,
    given_companies,
    read_list,
    refuse,
    typed_companies,
)
from pipeline.app.wiring_setup import (
    PLATFORMS,
    ListRefused,
    NewCompany,
    Texts,
    lists_companies,
    without_file_number,
)
from pipeline.errors import SynqupError

AskPlatform = Callable[[], Sequence[NewCompany]]
#: The option of the companies that a platform lists, by which what is wrong with them is named.
FROM_PLATFORM = Path("--from-platform")


class CompanyOptions(Struct, frozen=True):
    """The options about companies.

    given: NAME;NUMBER;FILE_NUMBER;PLATFORM_ID. needs_file_number: whether the folders need one.
    """

    given: tuple[str, ...]
    file: Path | None
    from_platform: bool
    listed: ListOptions
    needs_file_number: bool


class CompanyQuestions:
    """Asks which companies are wanted, where the options don't say it."""

    def __init__(self, options: CompanyOptions, dialogue: Dialogue, texts: Texts) -> None:
        self._options = options
        self._dialogue = dialogue
        self._texts = texts

    def ask(self, platform: str, ask_platform: AskPlatform) -> list[NewCompany]:
        """The companies. Raises ConfigurationError, or what the platform says.

        platform: its kind. ask_platform: asks it for those that it lists.
        """
        options = self._options
        found = given_companies(options.given, self._dialogue, self._texts)
        is_named = options.given or options.file is not None or options.from_platform
        if not self._dialogue.asks and not is_named:
            self._dialogue.add_problem(
                "--import: no company is named; write --import, --from-platform or --company"
            )
        self._dialogue.check()
        found = self._complete(found, Path("--company"))
        if options.file is not None:
            found += self._of_list(options.file)
        if options.from_platform:
            known = {one.identifier for one in found}
            more = [one for one in ask_platform() if one.identifier not in known]
            found += self._complete(more, FROM_PLATFORM)
            if not found:
                raise ListRefused(str(FROM_PLATFORM), [self._texts("problem.none")])
        return found or self._of_a_person(platform, ask_platform)

    def _of_a_person(self, platform: str, ask_platform: AskPlatform) -> list[NewCompany]:
        dialogue, texts = self._dialogue, self._texts
        choices = {"list": texts("ask.companies_file"), "type": texts("ask.companies_one")}
        if lists_companies(PLATFORMS[platform]):
            choices = {"platform": texts("ask.companies_platform"), **choices}
        while True:
            chosen = dialogue.choice("--import", None, texts("ask.companies"), choices)
            if chosen == "list":
                return dialogue.text("--import", None, texts("ask.import"), self._typed_file) or []
            if chosen == "type":
                needed = self._options.needs_file_number
                return typed_companies(dialogue, texts, needs_file_number=needed)
            try:
                found = self._complete(ask_platform(), FROM_PLATFORM)
            except SynqupError as error:
                # A person takes another way; the other answers are not lost.
                dialogue.print(texts("say.no_answer", reason=error), "red")
                found = []
            if found:
                return found
            del choices["platform"]

    def _complete(self, companies: Sequence[NewCompany], origin: Path) -> list[NewCompany]:
        """Those that have what the folders need; ListRefused names the others."""
        if not self._options.needs_file_number:
            return list(companies)
        lacking = without_file_number(companies)
        refuse(origin, lacking, self._options.listed, self._dialogue, self._texts)
        return [company for company in companies if company.accounting_file_id]

    def _of_list(self, file: Path) -> list[NewCompany]:
        found = read_list(file, self._options.listed, self._dialogue, self._texts)
        return self._complete(found, file)

    def _typed_file(self, answer: str) -> list[NewCompany]:
        # A person corrects the list and names it again; the other answers are not lost.
        try:
            return self._of_list(Path(answer).expanduser())
        except ListRefused as error:
            raise ValueError(str(error)) from None
