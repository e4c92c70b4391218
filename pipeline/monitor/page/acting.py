"""Acting: has done what a form asks for, by one who may act, and tells him what came of it.

Each action is one of pipeline/control/actions.py, which records who has asked for it. What is to be
done stands in the field `do`, as a verb and its arguments; further fields come from the form.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import parse_qsl

from aiohttp import web

from pipeline.control.actions import ActionResult, Actions
from pipeline.document import Key
from pipeline.errors import SynqupError
from pipeline.language.texts import mark as _, said
from pipeline.monitor.page.live import Live
from pipeline.monitor.page.model import Overview
from pipeline.monitor.page.rendering import renderers
from pipeline.monitor.page.request import Visit, form_of

#: Seconds that an action is waited for, so that its end can be told.
WAIT = 3.0
#: Characters of one argument.
MAX_ARGUMENT = 2000

Arguments = Mapping[str, str]
Doing = Callable[[Arguments, str], Awaitable[ActionResult]]


class Acting:
    """The actions of the page. actions: None where the program has none."""

    def __init__(
        self, actions: Actions | None, live: Live[Overview], outdate: Callable[[], object]
    ) -> None:
        """outdate: has the next page show what has come of an action."""
        self._actions = actions
        self._live = live
        self._outdate = outdate
        self._verbs: Mapping[str, Doing] = {
            "poll": self._poll,
            "pause": self._pause,
            "resume": self._resume,
            "retry": self._retry,
            "redeliver": self._redeliver,
            "assign": self._assign,
        }

    async def act(self, visit: Visit) -> web.StreamResponse:
        """Do what a form asks for, and send the reader back to where it stood."""
        form = await form_of(visit.request)
        fields = {name: one[:MAX_ARGUMENT] for name, one in form.items()}
        language = renderers()[visit.language].language
        back = fields.get("back", "/")
        session = visit.session
        if session is None or not visit.acts:
            words = language.say(said(_("You may look, but not act: sign in as an operator")))
            return visit.go("/sign-in", f"{words}.", is_bad=True)
        given = fields.get("csrf", "").encode("utf-8", "replace")
        if not hmac.compare_digest(given, session.csrf.encode()):
            words = language.say(said(_("This form is too old, and nothing was done: press again")))
            return visit.go(back, f"{words}.", is_bad=True)
        verb, _separator, query = fields.get("do", "").partition("?")
        doing = self._verbs.get(verb)
        if doing is None or self._actions is None:
            raise web.HTTPBadRequest
        arguments = {**fields, **dict(parse_qsl(query, max_num_fields=10))}
        try:
            result = await doing(arguments, who(visit))
        except SynqupError as error:
            return visit.go(back, _of_error(error, visit), is_bad=True)
        finally:
            self._outdate()
        sentence = language.sentence(result.sentence)
        words = _ended(f"{sentence[:1].upper()}{sentence[1:]}")
        return visit.go(back, words, is_bad=bool(result.failed))

    async def _poll(self, arguments: Arguments, who: str) -> ActionResult:
        return await self._do.poll(arguments.get("source") or None, who)

    async def _pause(self, arguments: Arguments, who: str) -> ActionResult:
        return await self._do.pause(arguments.get("source", ""), who)

    async def _resume(self, arguments: Arguments, who: str) -> ActionResult:
        return await self._do.resume(arguments.get("source", ""), who)

    async def _retry(self, arguments: Arguments, who: str) -> ActionResult:
        if "group" not in arguments:
            return await self._do.retry([_key(arguments)], who=who, wait=WAIT)
        it = await self._live.current()
        for group in it.groups:
            if group.id == arguments["group"]:
                keys = [one[0] for one in group.documents]
                return await self._do.retry(keys, who=who, wait=WAIT)
        return ActionResult(0, "none of them waits any more")

    async def _redeliver(self, arguments: Arguments, who: str) -> ActionResult:
        into = arguments.get("into", "").strip()
        return await self._do.redeliver([_key(arguments)], into=into, who=who, wait=WAIT)

    async def _assign(self, arguments: Arguments, who: str) -> ActionResult:
        return await self._do.assign(
            _key(arguments),
            arguments.get("company", "").strip(),
            arguments.get("kind", ""),
            arguments.get("reason", ""),
            who,
            wait=WAIT,
        )

    @property
    def _do(self) -> Actions:
        assert self._actions is not None
        return self._actions


def who(visit: Visit) -> str:
    """How the ledger records one who acts on the page."""
    name = visit.session.name if visit.session is not None else ""
    place = visit.request.remote or "?"
    return f"{name} (page, {place})" if name else f"operator (page, {place})"


def _key(arguments: Arguments) -> Key:
    return Key(*(arguments.get(name, "") for name in ("source", "id", "revision")))


def _of_error(error: SynqupError, visit: Visit) -> str:
    language = renderers()[visit.language].language
    words = _ended(f"{language.sentence(error.subject)}: {language.sentence(error.reason)}")
    return f"{words} {_ended(language.sentence(error.remedy))}" if error.remedy else words


def _ended(sentence: str) -> str:
    """A sentence with one full stop: it may end with the sentences of another part."""
    return sentence if sentence.endswith((".", "!", "?", "\u2026")) else f"{sentence}."
