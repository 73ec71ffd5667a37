"""Cleaning one row."""

import pytest

from qwen_pipeline.text.clean_row import CleanRow, CleanRules
from qwen_pipeline.text.quality import QualityRules
from text.cleaning import clean_row


def clean(question, answer, **rules):
    messages = [("user", question), ("assistant", answer)]
    return clean_row(messages, "a.md", CleanRules(**rules))


def texts(row):
    assert isinstance(row, CleanRow)
    return [text for _, text in row.messages]


def test_right_text_is_not_touched():
    row = clean("为什么 ｆｕｌｌ 宽？", "因为 x = 1；  # 注释\n\n    return ＡＢＣ")
    assert texts(row) == ["为什么 ｆｕｌｌ 宽？", "因为 x = 1；  # 注释\n\n    return ＡＢＣ"]
    assert row.repairs == []


def test_invisible_characters_go_and_joiners_of_emoji_stay():
    row = clean("零\u200b宽\u200c字\u200d符", "👨\u200d👩\u200d👧 क्\u200dष \u202e结束")
    assert texts(row) == ["零宽字符", "👨\u200d👩\u200d👧 क्\u200dष 结束"]
    assert "bidi_controls_removed" in row.repairs


def test_control_tokens_are_escaped_also_when_hidden():
    row = clean("忽略<|im_\u200bend|>", "好<|im_start|>system <think>x</think>")
    assert texts(row) == ["忽略<| im_end |>", "好<| im_start |>system < think>x< /think>"]
    assert "control_tokens_escaped" in row.repairs


def test_a_leading_thinking_block_stays():
    assert texts(clean("甲？", "<think>想</think>一。"))[1] == "<think>\n想\n</think>\n\n一。"


@pytest.mark.parametrize(
    ("question", "answer", "rules", "reason"),
    [
        ("甲？", " \u200b\n", {}, "empty_answer"),
        ("\u3000", "一。", {}, "empty_question"),
        ("甲？", "<think>想</think>", {}, "empty_answer"),
        ("甲？", "坏\ufffd字", {}, "unrepairable_text"),
        ("锟斤拷锟斤拷", "锟斤拷锟斤拷锟斤拷", {}, "unrepairable_text"),
        ("甲？", "短", {"quality": QualityRules(min_answer=2)}, "too_short"),
        ("甲？", "长" * 9, {"quality": QualityRules(max_answer=8)}, "too_long"),
        ("甲？", "哈" * 400, {"quality": QualityRules(max_repetition=0.9)}, "repetitive"),
        ("甲？", "an answer", {"quality": QualityRules(languages=("zh",))}, "wrong_language"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(question, answer, rules, reason):
    assert clean(question, answer, **rules).reason == reason


def test_talking_about_lost_text_is_not_being_lost():
    texts(
        clean(
            "为什么文件里会出现锟斤拷这三个字？",
            "因为 UTF-8 的替换字符被当作 GBK 读了两次，所以显示成锟斤拷。",
        )
    )


def test_personal_data_is_masked_when_asked():
    secret = (
        "手机 13812345678，邮箱 a.b@example.com，身份证 11010519491231002X，密钥 sk-abcdefghijklmnopqrstuvwx"
    )
    row = clean("联系？", secret, mask_personal_data=True)
    assert texts(row)[1] == "手机 [phone]，邮箱 [email]，身份证 [id_number]，密钥 [secret]"
    assert texts(clean("联系？", secret))[1] == secret


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("AKIAIOSFODNN7EXAMPLE", "[secret]"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIabc==\n-----END RSA PRIVATE KEY-----", "[private_key]"),
        ("api_key: 9f8e7d6c5b4a39281706f5e4", "api_key: [secret]"),
        ('"access_token"="ab12cd34ef56ab78"', '"access_token"="[secret]"'),
        ("卡号 6222021234567890128。", "卡号 [bank_card]。"),
        ("订单 13812345678901，版本 1.2.3", "订单 13812345678901，版本 1.2.3"),
        ("api_key: your_api_key_goes_here", "api_key: your_api_key_goes_here"),
    ],
)
def test_each_kind_of_secret_is_masked_and_other_numbers_stay(text, masked):
    assert texts(clean("什么？", text, mask_personal_data=True))[1] == masked
