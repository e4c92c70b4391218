"""The ways of alerts, each with a real receiver on loopback: webhooks, mail and heartbeats."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from yarl import URL

from pipeline.alerts.beats import CRASH, START, Beat, Monitor, exit_beat
from pipeline.alerts.channels import Webhook
from pipeline.alerts.command import try_all
from pipeline.alerts.errors import MessageRefused
from pipeline.alerts.mail import MailChannel
from pipeline.alerts.message import Message
from pipeline.alerts.requests import Requests
from pipeline.alerts.settings import (
    AlertSettings,
    HeartbeatSettings,
    MailSettings,
    WebhookSettings,
)
from pipeline.config.types import Secret
from pipeline.errors import SynqupError
from pipeline.network.proxy import ProxySettings
from pipeline.network.routes import Routes
from tests.helpers.authority import Authority
from tests.helpers.proxy import InspectingProxy, proxying
from tests.helpers.receivers import WebReceiver, mail_receiving, receiving

pytestmark = pytest.mark.anyio

TELL = Message(
    id="source-1-1",
    incident="source-1",
    cause="source",
    state="problem",
    at=1_790_000_000.0,
    machine="Bureau d'Été",
    subject="source box can't be read",
    text="Since noon: the sign-in was refused.",
    remedy="Check the client id and secret.",
    details=("box: the sign-in was refused",),
)
OVER = Message("source-1-over", "source-1", "source", "over", 1.0, "office", "it works", "Again.")


async def told(receiver: WebReceiver, settings: WebhookSettings, routes: Routes) -> None:
    requests = Requests(routes)
    try:
        await Webhook(settings, ("source",), requests).send(TELL)
    finally:
        await requests.close()


async def refused(receiver: WebReceiver, settings: WebhookSettings) -> SynqupError:
    with pytest.raises(SynqupError) as failed:
        await told(receiver, settings, Routes("alerts"))
    return failed.value


# Webhooks


async def test_a_webhook_gets_all_of_a_message_and_what_tells_it_from_others(
    tmp_path: Path,
) -> None:
    (tmp_path / "url").write_text("later\n")
    (tmp_path / "token").write_text("Bearer hunter2\n")
    async with receiving() as receiver:
        signed = f"{receiver.url}hook?sig=a%2Bb%2Fc%3D"
        (tmp_path / "url").write_text(f"{signed}\n")
        settings = WebhookSettings(
            "n8n",
            url_secret=Secret(file=str(tmp_path / "url")),
            headers={"X-Office": "7"},
            secret_headers={"Authorization": Secret(file=str(tmp_path / "token"))},
        )
        await told(receiver, settings, Routes("alerts"))
        (call,) = receiver.calls
        assert (call.method, call.path) == ("POST", "/hook?sig=a%2Bb%2Fc%3D")
        assert call.headers["Content-Type"] == "application/json"
        assert call.headers["Idempotency-Key"] == '"source-1-1"'
        assert call.headers["Authorization"] == "Bearer hunter2"
        assert call.headers["X-Office"] == "7"
        assert call.json["id"] == "source-1-1"
        assert call.json["title"] == "Bureau d'Été: source box can't be read"
        assert call.json["state"] == "problem"


@pytest.mark.parametrize(
    ("status", "words", "is_refused"),
    [
        (400, "answers 400", True),
        (404, "Check its address", False),
        (302, "redirects", False),
        (429, "answers 429", False),
        (500, 'answers 500: "said"', False),
    ],
)
async def test_a_receiver_that_does_not_take_it_is_quoted_without_the_address(
    status: int, words: str, is_refused: bool
) -> None:
    async with receiving() as receiver:
        receiver.status = status
        receiver.headers = {"Location": "/elsewhere", "Retry-After": "7"}
        error = await refused(receiver, WebhookSettings("hook", f"{receiver.url}SECRET?k=SECRET"))
        assert words in str(error)
        assert "SECRET" not in str(error)
        assert isinstance(error, MessageRefused) is is_refused
        assert len(receiver.calls) == 1
        if status == 429:
            assert getattr(error, "retry_after", None) == 7


async def test_a_receiver_that_is_not_there_is_said() -> None:
    async with receiving() as receiver:
        gone = receiver.url
    error = await refused(receiver, WebhookSettings("hook", f"{gone}SECRET"))
    assert f"the receiver does not answer (127.0.0.1:{gone.port}: " in str(error)
    assert "SECRET" not in str(error)


async def test_alerts_go_by_the_proxy_and_trust_of_the_company(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with receiving() as receiver:
        place = ("hooks.example.test", 443)
        # What the proxy opens goes on by TLS in real life; here it ends at a plain receiver.
        proxy = InspectingProxy(
            {place: ("127.0.0.1", receiver.url.port or 0)},
            credentials="us:secret",
            authority=authority,
        )
        async with proxying(proxy) as running:
            (tmp_path / "password").write_text("secret")
            settings = ProxySettings(
                f"http://{running.address}",
                "us",
                Secret(file=str(tmp_path / "password")),
                "[alerts]",
            )
            hook = WebhookSettings("hook", "https://hooks.example.test/x")
            await told(receiver, hook, Routes("alerts", settings, authority.root))
            assert receiver.paths == ["/x"]
            with pytest.raises(SynqupError, match="not trusted"):
                await told(receiver, hook, Routes("alerts", settings))
            # Once somebody has mended ca_file, the same process goes on.
            mended = tmp_path / "mended.pem"
            mended.write_bytes(Authority(tmp_path / "other", "Another Root").root.read_bytes())
            routes = Routes("alerts", settings, mended)
            with pytest.raises(SynqupError, match=r"not trusted .*ca_file in \[alerts\]"):
                await told(receiver, hook, routes)
            mended.write_bytes(authority.root.read_bytes())
            await told(receiver, hook, routes)
            wrong = ProxySettings(f"http://{running.address}", section="[alerts]")
            with pytest.raises(SynqupError, match=r"proxy_password in \[alerts\]"):
                await told(receiver, hook, Routes("alerts", wrong, authority.root))


# Heartbeats


async def test_a_monitor_of_the_healthchecks_kind_is_called_by_its_paths() -> None:
    async with receiving() as receiver:
        requests = Requests(Routes("alerts"))
        monitor = Monitor(HeartbeatSettings(f"{receiver.url}uuid?create=1"), 1, requests)
        for beat in (START, Beat("", True, "ok: 2 sources"), CRASH, exit_beat(3, "ended")):
            await monitor.call(beat)
        await requests.close()
        assert receiver.paths == [
            "/uuid/start?create=1",
            "/uuid?create=1",
            "/uuid/fail?create=1",
            "/uuid/3?create=1",
        ]
        assert receiver.calls[1].body == b"ok: 2 sources"


async def test_a_monitor_by_template_gets_its_values_percent_encoded() -> None:
    async with receiving() as receiver:
        requests = Requests(Routes("alerts"))
        url = f"{receiver.url}api/push/T?status={{status}}&msg={{message}}&ping="
        monitor = Monitor(HeartbeatSettings(url, style="template"), 1, requests)
        for beat in (START, Beat("", True, "100 % & {more}\u00e9 #"), CRASH):
            await monitor.call(beat)
        await requests.close()
        assert receiver.paths == [
            "/api/push/T?status=up&msg=100%20%25%20%26%20%7Bmore%7D%C3%A9%20%23&ping=",
            "/api/push/T?status=down&msg=synqup%20ends%20by%20an%20error&ping=",
        ]
        assert URL(str(receiver.url)).with_path("/").host == "127.0.0.1"


# Mail


def mail(port: int, **more: object) -> MailSettings:
    common = {
        "host": "127.0.0.1",
        "sender": "Synqup <synqup@example.be>",
        "to": ("it@example.be", "Boss <boss@example.be>"),
        "port": port,
        "security": "plain",
    }
    return MailSettings(**{**common, **more})  # type: ignore[arg-type]


async def test_a_mail_arrives_as_plain_text_and_threads_with_its_recovery() -> None:
    async with mail_receiving() as receiver:
        channel = MailChannel(mail(receiver.port), ("source",), None)
        await channel.send(TELL)
        await channel.send(OVER)
    first, second = receiver.mails
    assert first["Subject"] == "[synqup] Bureau d'Été: source box can't be read"
    assert first["Message-ID"] == "<source-1-1@example.be>"
    assert second["In-Reply-To"] == first["Message-ID"]
    assert first["Auto-Submitted"] == "auto-generated"
    assert str(first["From"]) == "Synqup <synqup@example.be>"
    assert receiver.recipients[0] == ["it@example.be", "boss@example.be"]
    assert first.get_content_type() == "text/plain"
    assert first.get_content().replace("\r\n", "\n") == f"{TELL.body}\n"


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_mail_goes_by_tls_with_a_password(tmp_path: Path, security: str) -> None:
    authority = Authority(tmp_path)
    (tmp_path / "password").write_text("h\u00fcnter2\n")
    password = Secret(file=str(tmp_path / "password"))
    tls = authority.server_context("127.0.0.1")
    async with mail_receiving(
        tls, starttls=security == "starttls", credentials=("us", "h\u00fcnter2")
    ) as receiver:
        settings = mail(receiver.port, security=security, user="us", password=password)
        await MailChannel(settings, (), authority.root).send(TELL)
        assert len(receiver.mails) == 1
        with pytest.raises(SynqupError, match=r"(?s)not trusted.*ca_file in \[alerts\]"):
            await MailChannel(settings, (), None).send(TELL)
        (tmp_path / "password").write_text("wrong")
        with pytest.raises(SynqupError, match="refuses the user or the password") as failed:
            await MailChannel(settings, (), authority.root).send(TELL)
        assert "wrong" not in str(failed.value)
    assert len(receiver.mails) == 1


async def test_a_password_never_travels_where_starttls_is_not_offered(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hunter2")
    async with mail_receiving(credentials=("us", "hunter2")) as receiver:
        settings = mail(
            receiver.port,
            security="starttls",
            user="us",
            password=Secret(file=str(tmp_path / "password")),
        )
        with pytest.raises(SynqupError, match=r"STARTTLS.*security in \[alerts.mail\]"):
            await MailChannel(settings, (), None).send(TELL)
    assert not receiver.mails


async def test_a_mail_server_that_refuses_is_quoted() -> None:
    async with mail_receiving() as receiver:
        channel = MailChannel(mail(receiver.port), (), None)
        receiver.refused_recipients = ["it@example.be"]
        await channel.send(TELL)
        assert receiver.recipients == [["boss@example.be"]]
        receiver.refused_recipients = ["it@example.be", "boss@example.be"]
        with pytest.raises(SynqupError, match=r"refuses every recipient .*550 no such user"):
            await channel.send(TELL)
        receiver.refused_recipients = []
        receiver.refuse = "554 looks like spam"
        with pytest.raises(MessageRefused, match="looks like spam"):
            await channel.send(TELL)
        receiver.refuse = "451 later"
        with pytest.raises(SynqupError, match="451 later"):
            await channel.send(TELL)
    with pytest.raises(SynqupError, match="Check host"):
        await channel.send(TELL)


# The trial


async def test_a_trial_says_what_came_of_each_way() -> None:
    async with receiving() as web, receiving() as broken:
        broken.status = 404
        async with mail_receiving() as mails:
            settings = AlertSettings(
                heartbeats=(HeartbeatSettings(f"{web.url}beat"),),
                mail=mail(mails.port),
                webhooks=(
                    WebhookSettings("good", f"{web.url}hook"),
                    WebhookSettings("bad", f"{broken.url}hook"),
                    WebhookSettings("none", url_secret=Secret(file="/nowhere")),
                ),
            )
            tried = {one.way: one for one in await try_all(settings)}
    assert [way for way, one in tried.items() if one.ok] == ["heartbeat 1", "webhook good", "mail"]
    assert "404" in tried["webhook bad"].error
    assert "/nowhere" in tried["webhook none"].error
    assert sorted(web.paths) == ["/beat", "/hook"]
    assert "test" in mails.mails[0]["Subject"]


def test_tls_of_mail_is_verified_by_the_same_trust_as_requests() -> None:
    context = MailChannel(mail(25), (), None)._context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
