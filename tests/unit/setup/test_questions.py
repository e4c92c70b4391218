"""What is asked of a connector follows from the fields that its section declares."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest

from pipeline.config.types import Duration, Secret, above_zero
from stages.settings import SourceSettings
from stages.setup.questions import Question, kind_of, setting_questions, setting_value
from stages.setup.texts import LANGUAGES
from stages.sources.registry import CONNECTORS, questions_of


class Sftp(SourceSettings, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="sftp"):
    """The section of a connector that this test brings."""

    host: str
    password: Secret
    port: Annotated[int, above_zero] = 22
    key: Path | None = None
    wait: Duration = Duration(3)
    passphrase: Secret | None = None


def test_a_connector_without_questions_is_asked_for_its_required_fields() -> None:
    asked = setting_questions(Sftp, ())
    assert [(one.key, one.is_secret, one.optional) for one in asked] == [
        ("host", False, False),
        ("password", True, False),
    ]
    assert kind_of(Sftp) == "sftp"


def test_a_connector_may_ask_more_and_in_its_own_order() -> None:
    own = (Question("port", default="22"), Question("passphrase", optional=True))
    asked = setting_questions(Sftp, own)
    assert [one.key for one in asked] == ["port", "passphrase", "host", "password"]
    assert asked[1].is_secret
    assert asked[0].value_of("2222") == 2222


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [("host", "h", "h"), ("host", "12", "12"), ("port", "24", 24), ("wait", "5m", "5m")],
)
def test_an_answer_becomes_what_the_field_wants(key: str, text: str, value: object) -> None:
    assert setting_value(Sftp, key, text) == value


@pytest.mark.parametrize(
    ("key", "text", "said"),
    [
        ("port", "0", "has to be more than zero"),
        ("port", "many", "expected a number"),
        ("wait", "soon", "a duration like"),
        ("hots", "h", 'did you mean "host"?'),
        ("password", "s3cret", "a secret may not stand in the file"),
    ],
)
def test_a_wrong_answer_is_said_without_repeating_secrets(key: str, text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("?", r"\?")) as error:
        setting_value(Sftp, key, text)
    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize("connector", CONNECTORS)
def test_each_connector_can_be_asked_for_in_three_languages(connector: object) -> None:
    for one in questions_of(connector):  # type: ignore[arg-type]
        assert not one.ask or one.ask.keys() == set(LANGUAGES)
