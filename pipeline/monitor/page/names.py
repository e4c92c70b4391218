"""Names: how the page calls states, kinds, stages and actions."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.language.texts import mark as _
from pipeline.monitor.page.model import Level

STATES: Mapping[str, tuple[Level, str]] = {
    "seen": ("warn", _("listed")),
    "staged": ("warn", _("lies ready")),
    "delivered": ("ok", _("delivered")),
    "duplicate": ("ok", _("duplicate")),
    "skipped": ("ok", _("left out")),
    "quarantined": ("bad", _("quarantine")),
    "waiting": ("warn", _("waiting")),
}

KINDS: Mapping[str, str] = {
    "purchase": _("Purchase invoice"),
    "sales": _("Sales invoice"),
    "statement": _("Bank statement"),
    "unknown": _("Other document"),
    "": "",
}

STAGES: Mapping[str, str] = {
    "download": _("fetch"),
    "verify": _("verify"),
    "classify": _("sort"),
    "render": _("make ready"),
    "write": _("write"),
}

VERBS: Mapping[str, str] = {
    "poll": _("Fetched now"),
    "pause": _("Paused"),
    "resume": _("Resumed"),
    "retry": _("Tried again"),
    "redeliver": _("Delivered again"),
    "assign": _("Put into a folder by hand"),
}
