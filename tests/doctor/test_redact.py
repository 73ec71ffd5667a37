"""Planted secrets are gone, and what helps is still there."""

import getpass
from pathlib import Path

import pytest

from qwen_pipeline.doctor.redact import redact

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


def test_facts_that_help_stay() -> None:
    fact = (
        "torch 2.13.0, batch_size=8, max_memory_gb=8.0, max_new_tokens=256, tokenizer: demo, "
        "tokens_per_second 812, data/01_raw/faq.md line 12"
    )
    assert redact(fact) == fact
