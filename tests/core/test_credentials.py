"""What is taken for a secret, and what is not."""

import io

import pytest

from resnet_core.credentials import (
    Discreet,
    holds_credentials,
    is_name_of_secret,
    remember,
    without_assigned_credentials,
    without_credentials,
    without_user,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("at http://me:secret@host:5000/x", "at http://***@host:5000/x"),
        ("https://ghp_0123456789@host", "https://***@host"),
        ("see https://hooks.slack.com/services/T0/B0/x now", "see https://hooks.*** now"),
        ("use ghp_0123456789abcdefABCDEF here", "use *** here"),
        ("key AKIAIOSFODNN7EXAMPLE", "key ***"),
        ("Authorization: Bearer abcdefghijklmnop.qrst", "Authorization: Bearer ***"),
        ("a http://host/@me and s3://bucket/k", "a http://host/@me and s3://bucket/k"),
        ("write me@example.org", "write me@example.org"),
        ("the token is in ~/.ray/auth_token", "the token is in ~/.ray/auth_token"),
    ],
)
def test_what_looks_like_a_secret_is_hidden_and_nothing_else(text, expected):
    assert without_credentials(text) == expected


def test_values_of_variables_that_are_named_like_secrets_are_hidden(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hunter2hunter2")
    monkeypatch.setenv("STORE", "http://me:swordfish@host/")
    monkeypatch.setenv("DB_PASSWORD", "short")
    text = "failed for hunter2hunter2 and swordfish; in short"
    assert without_credentials(text) == "failed for *** and ***; in short"


def test_of_two_secrets_that_hold_one_another_nothing_is_left(monkeypatch):
    monkeypatch.setenv("A_TOKEN", "abcdefgh")
    monkeypatch.setenv("B_TOKEN", "abcdefghijkl")
    assert without_credentials("abcdefghijkl") == "***"


def test_a_secret_that_has_left_the_environment_is_still_known():
    remember("an-address-with-a-secret")
    assert without_credentials("to an-address-with-a-secret!") == "to ***!"


@pytest.mark.parametrize(
    ("name", "is_secret"),
    [
        ("AWS_SECRET_ACCESS_KEY", True), ("AWS_ACCESS_KEY_ID", True), ("HF_TOKEN", True),
        ("WANDB_API_KEY", True), ("db-password", True), ("apikey", True),
        ("SWEEPS_WEBHOOK_URL", True), ("RAY_AUTH_TOKEN", True), ("RAY_AUTH_TOKEN_PATH", False),
        ("AWS_SHARED_CREDENTIALS_FILE", False), ("tokenizer", False), ("num_tokens", False),
        ("HOME", False), ("TOKENIZERS_PARALLELISM", False), ("secretary", False),
    ],
)  # fmt: skip
def test_names_of_secrets(name, is_secret):
    assert is_name_of_secret(name) == is_secret


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('+api_key = "abcd1234"', "+api_key = ***"),
        ("+MY_TOKEN=abcd1234", "+MY_TOKEN=***"),
        ("+  password: 'abcd1234'", "+  password: ***"),
        ("+token = tokens[0]", "+token = tokens[0]"),
        ("+def check(token: str) -> None:", "+def check(token: str) -> None:"),
        ("+learning_rate = 0.1", "+learning_rate = 0.1"),
    ],
)
def test_of_source_code_literals_that_are_named_like_secrets_are_hidden(line, expected):
    assert without_assigned_credentials(line) == expected


@pytest.mark.parametrize(
    ("value", "held"),
    [
        ("http://me:pw@host", True), ("https://token@host/x", True), ("sqlite:///a.db", False),
        ("postgresql://me:pw@host/db", True), ("ssh://git@host/x", False), (5, False),
        ({"a": ["x", {"b": "http://me:pw@h"}]}, True), ({"a": ["x", 1]}, False),
    ],
)  # fmt: skip
def test_credentials_in_plain_data_are_found(value, held):
    assert holds_credentials(value) == held


def test_an_address_without_its_user_can_still_be_opened():
    assert without_user("http://me:pw@host:5000/x") == "http://host:5000/x"


def test_a_discreet_stream_hides_what_is_written_to_it_and_is_otherwise_the_stream(monkeypatch):
    monkeypatch.setenv("A_TOKEN", "abcdefgh")
    inner = io.StringIO()
    stream = Discreet(inner)
    assert stream.write("is abcdefgh\n") == 12
    stream.writelines(["at http://me:pw@host\n"])
    print("abcdefgh", file=stream, flush=True)
    assert inner.getvalue() == "is ***\nat http://***@host\n***\n"
    assert stream.isatty() is False
