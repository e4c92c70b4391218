"""The section [alerts]: what it may say, and in which words it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.config.types import Secret
from tests.helpers.settings import GOOD, load, problems

MAIL = """
[alerts.mail]
host = "smtp.example.be"
from = "Synqup <synqup@example.be>"
to = ["it@example.be", "boss@example.be"]
"""
HOOK = """
[[alerts.webhooks]]
name = "teams"
url = "https://example.test/hook"
"""
BEAT = """
[[alerts.heartbeats]]
url = "https://hc.example.test/uuid"
"""


def test_nobody_is_told_by_default(tmp_path: Path) -> None:
    assert not load(tmp_path, GOOD).alerts.tells


def test_all_sections_are_read_and_their_paths_are_absolute(tmp_path: Path) -> None:
    (tmp_path / "root.pem").write_text("")
    text = (
        GOOD
        + '[alerts]\nname = "Office"\ncauses = ["source", "disk"]\nquiet_company = "14d"\n'
        + MAIL
        + 'user = "us"\npassword = { file = "smtp.secret" }\n'
        + HOOK.replace('url = "https://example.test/hook"', 'url_secret = { file = "teams.url" }')
        + 'secret_headers = { Authorization = { file = "token" } }\n'
        + BEAT
    )
    alerts = load(tmp_path, text).alerts
    assert alerts.tells
    assert alerts.mail is not None
    assert alerts.mail.to == ("it@example.be", "boss@example.be")
    assert alerts.mail.sender == "Synqup <synqup@example.be>"
    assert alerts.mail.password == Secret(file=str(tmp_path / "smtp.secret"))
    assert alerts.webhooks[0].url_secret == Secret(file=str(tmp_path / "teams.url"))
    assert alerts.webhooks[0].secret_headers["Authorization"].file == str(tmp_path / "token")
    assert alerts.quiet_company == 14 * 86_400


@pytest.mark.parametrize(
    ("section", "key", "words"),
    [
        ("[alerts]\nname = 'x'\n", "alerts", "tells nobody"),
        (MAIL.replace('"it@example.be"', '"it"'), "alerts.mail.to[1]", "no address of mail"),
        (MAIL.replace("synqup@", "a\\nBcc: b@"), "alerts.mail.from", "no address of mail"),
        (MAIL.replace("smtp.example.be", "smtp.example.be:25"), "alerts.mail.host", "port"),
        (MAIL + 'security = "plain"\n', "alerts.mail.security", "in the clear"),
        (MAIL + 'user = "us"\n', "alerts.mail.password", "user needs it"),
        (MAIL + 'password = "hunter2"\n', "alerts.mail.password", "may not stand in the file"),
        (MAIL + "port = 70000\n", "alerts.mail.port", "65535"),
        (MAIL + 'causes = ["sources"]\n', "alerts.mail.causes", "none of"),
        (HOOK + HOOK, "alerts.webhooks[2].name", "too"),
        (HOOK.replace("https:", "http:"), "alerts.webhooks[1].url", "in the clear"),
        (HOOK.replace("https://", "https://a:b@"), "alerts.webhooks[1].url", "header"),
        (HOOK.replace("url =", "# url ="), "alerts.webhooks[1].url", "missing"),
        (HOOK + 'shape = "discord"\n', "alerts.webhooks[1].shape", "none of"),
        (HOOK + 'language = "de"\n', "alerts.webhooks[1].language", '"nl", "fr", "en"'),
        (MAIL + 'language = "NL"\n', "alerts.mail.language", 'none of "nl"'),
        ("[alerts]\nlanguage = 'dutch'\n" + HOOK, "alerts.language", '"nl", "fr", "en"'),
        (HOOK + 'headers = { "X Y" = "1" }\n', "alerts.webhooks[1]", "no header"),
        (HOOK + 'headers = { X = "1\\r\\nY: 2" }\n', "alerts.webhooks[1]", "printable"),
        (BEAT + 'style = "template"\n', "alerts.heartbeats[1].url", "{status}"),
        (
            BEAT.replace("uuid", "{x.__class__}") + 'style = "template"\n',
            "alerts.heartbeats[1].url",
            "{status}",
        ),
        (BEAT.replace("uuid", "?s={status}"), "alerts.heartbeats[1].style", "template"),
        (BEAT.replace("url =", "url_secret ="), "alerts.heartbeats[1].url_secret", "secret"),
        ("[alerts]\nsummary_hour = 24\n" + BEAT, "alerts.summary_hour", "0 to 23"),
        ('[alerts]\nproxy_user = "us"\n' + BEAT, "alerts.proxy_password", "proxy_user needs it"),
        ('[alerts]\nca_file = "none.pem"\n' + BEAT, "alerts.ca_file", "can't be used"),
        ('[alerts]\nheartbeat = "x"\n' + BEAT, "alerts.heartbeat", "did you mean"),
    ],
)
def test_what_can_not_work_is_refused(tmp_path: Path, section: str, key: str, words: str) -> None:
    found = problems(tmp_path, GOOD + section)
    assert any(one.startswith(key) and words in one for one in found), found
    assert "hunter2" not in "".join(found)


@pytest.mark.parametrize(
    "section",
    [
        MAIL.replace("smtp.example.be", "127.0.0.1") + 'security = "plain"\n',
        MAIL + 'security = "plain"\nallow_plain = true\n',
        HOOK.replace("https://example.test", "http://192.168.1.5:5678"),
        HOOK.replace("https://example.test", "http://n8n:5678"),
        BEAT.replace("uuid", "push?status={status}&msg={message}&ping=") + 'style = "template"\n',
    ],
)
def test_what_can_work_is_taken(tmp_path: Path, section: str) -> None:
    assert load(tmp_path, GOOD + section).alerts.tells
