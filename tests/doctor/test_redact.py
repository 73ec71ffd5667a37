"""Planted secrets are gone, and what helps is still there."""

import getpass
import os
from pathlib import Path

import pytest

from qwen_pipeline.doctor.redact import redact, redact_values

SECRETS = [
    "hf_" + "abcdefghijklmnopqrstuvwxyz0123",
    "sk-" + "proj1234567890abcdef",
    "ghp_" + "0123456789abcdefghij",
    "AKIA" + "ABCDEFGHIJKLMNOP",
    "eyJhbGciOiJI.eyJzdWIiOiIxMjM0.c2lnbmF0dXJl",
    "zhang.san@example.com",
    "hunter2hunter2",
]

PLANTED = f"""
HF_TOKEN={SECRETS[0]}
openai: {SECRETS[1]}
remote https://me:{SECRETS[6]}@proxy.example:8080/path
git {SECRETS[2]} aws {SECRETS[3]}
Authorization: Bearer {SECRETS[4]}
contact {SECRETS[5]}
"password": "{SECRETS[6]}"
"""


@pytest.mark.parametrize("secret", SECRETS)
def test_planted_secrets_are_removed(secret: str) -> None:
    assert secret not in redact(PLANTED)


def test_the_value_of_a_secret_variable_is_removed_wherever_it_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MY_SERVICE_TOKEN", "plain-looking-value")
    assert "plain-looking-value" not in redact("the server answered 401 to plain-looking-value")


def test_home_folders_and_the_user_are_removed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Path, "home", lambda: Path("/srv/people/wangwu"))
    monkeypatch.setattr(getpass, "getuser", lambda: "wangwu")
    text = redact(
        "/srv/people/wangwu/project /home/lisi/data C:\\Users\\lisi\\x /Users/zhaoliu/y wangwu@host"
    )
    assert "lisi" not in text
    assert "zhaoliu" not in text
    assert "wangwu" not in text
    assert "~/project" in text


def test_a_user_without_a_home_folder_gets_a_report_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(os, "getuid", lambda: 12345)  # nobody in the list of users has it
    assert redact("/home/lisi/data") == "/home/[user]/data"


def test_facts_that_help_stay() -> None:
    fact = (
        "torch 2.13.0, batch_size=8, max_memory_gb=8.0, max_new_tokens=256, tokenizer: demo, "
        "tokens_per_second 812, data/01_raw/faq.md line 12"
    )
    assert redact(fact) == fact


@pytest.mark.parametrize(
    "fact",
    [
        "pad_token='<|endoftext|>' eos_token=<|im_end|> tokenizer_kwargs.pad_token: null",
        "The tokenizer has no padding token: set tokenizer_kwargs: {pad_token: ...}",
        "0.0012 nats per token: within export_max_mean_kl; loss_per_token=0.31, token: 42",
        "google-auth 2.40.1, google-auth: 2.40.1, asttokens: 3.0.0, token=None, api_key=null",
        "author: Qwen, authentication: not needed, hf_device_map_inference and ms_per_micro_batch stay",
    ],
)
def test_names_that_only_sound_secret_keep_their_values(fact: str) -> None:
    assert redact(fact) == fact


@pytest.mark.parametrize(
    "text",
    [
        "hf_token: planted77secret", "invalid token: planted77secret", "MY-TOKEN='planted77secret'",
        "{'token': 'planted77secret'}", "apiKey=planted77secret", "AWS_SECRET_ACCESS_KEY: planted77secret",
        "auth=planted77secret", "Authorization: Basic planted77secret", "db_pass=planted77secret", "--api-key planted77secret",
        "secret_token=planted77secret", "https://x/?a=1&access_token=planted77secret",
    ],
)  # fmt: skip
def test_what_stands_under_a_secret_name_is_removed_from_a_text(text: str) -> None:
    assert "planted77secret" not in redact(text)


def test_plain_data_keeps_its_form_and_loses_what_stands_under_a_secret_name() -> None:
    data = {
        "token": ["a", "b"], "hub": {"api_key": 12345, "password": "x", "secret": None, "use_auth": True},
        "pad_token": "<|endoftext|>", "versions": {"google-auth": "2.40.1", "tokenizers": "0.22"}, "loss": [0.5, 1],
        "path": Path("/home/lisi/model"),
    }  # fmt: skip
    assert redact_values(data) == {
        "token": "[removed]", "hub": {"api_key": "[removed]", "password": "[removed]", "secret": None, "use_auth": True},
        "pad_token": "<|endoftext|>", "versions": {"google-auth": "2.40.1", "tokenizers": "0.22"}, "loss": [0.5, 1],
        "path": "/home/[user]/model",
    }  # fmt: skip


def test_a_count_in_a_variable_is_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAX_TOKEN_COUNT", "100000")
    assert redact("100000 rows") == "100000 rows"
