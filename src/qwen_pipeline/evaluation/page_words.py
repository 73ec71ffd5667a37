"""What figures are called on the page, and its verdict in Chinese."""

from collections.abc import Mapping
from typing import Any

NAMES: Mapping[str, tuple[str, str]] = {
    "loss": ("loss, nats a token", "损失（每 token，nat）"),
    "perplexity": ("perplexity", "困惑度"),
    "bits_per_character": ("bits a character", "每字符比特数"),
    "token_accuracy": ("right next tokens", "下一 token 正确率"),
    "exact_match": ("exact match", "完全一致"),
    "chrf": ("chrF", "chrF"),
    "rouge_l": ("ROUGE-L", "ROUGE-L"),
    "bleu": ("BLEU", "BLEU"),
    "recognised": ("recognisably right", "可认定为正确"),
    "answer_characters": ("characters of an answer", "回答字数"),
    "repetition": ("repeats itself", "重复"),
    "irrelevance": ("off topic", "答非所问"),
    "format_error": ("format errors", "格式错误"),
    "answer_present": ("an answer is there", "有回答"),
    "language_kept": ("language kept", "语言一致"),
    "stopped": ("ends its turn", "正常结束"),
    "thinking_closed": ("thinking block closed", "思考块闭合"),
    "thought_characters": ("characters of a thought", "思考字数"),
}
# Names in the charts.
BASE, TUNED, REFERENCE = ("base", "原模型"), ("tuned", "微调后"), ("reference", "参考答案")
TRAIN, VALIDATION, PLANNED, RATE = (
    ("train", "训练"),
    ("validation", "验证"),
    ("planned", "计划"),
    ("learning rate", "学习率"),
)
GROUPS: Mapping[str, tuple[str, str]] = {
    "language": ("language", "语言"),
    "source_file": ("file", "文件"),
    "length_band": ("tokens", "token 数"),
}
TITLES: Mapping[str | None, tuple[str, str]] = {
    "test": ("Evaluation on the test split", "测试集评估"),
    "validation": ("Evaluation on the validation split", "验证集评估"),
    None: ("Evaluation without held-out rows", "没有留出数据的评估"),
}
VERDICTS: Mapping[str, str] = {"better": "变好", "worse": "变差", "not told apart": "无法区分"}
FAULTS: Mapping[str, str] = {name: NAMES[name][1] for name in ("repetition", "irrelevance", "format_error")}
_SHARES = frozenset(
    ("token_accuracy", "exact_match", "recognised", "repetition", "irrelevance", "format_error", "answer_present",
     "language_kept", "stopped", "thinking_closed")
)  # fmt: skip


def figure(name: str, value: float) -> str:
    """A figure as people read it: shares in per cent, lengths whole, the rest with three digits."""
    if name in _SHARES:
        return f"{100 * value:.1f}%"
    return f"{value:.0f}" if name.endswith("_characters") else f"{value:.3g}"


def verdict_in_chinese(report: Mapping[str, Any]) -> str:
    """The report's verdict, from the same figures."""
    words = _comparison_in_chinese(report) if report["rows"] else "未评估。"
    return words + remark_in_chinese(report["held_out"])


def _comparison_in_chinese(report: Mapping[str, Any]) -> str:
    base, tuned, loss = report["base"], report["tuned"], report["differences"]["loss"]
    change = f"{'低' if tuned['loss'] < base['loss'] else '高'} {abs(1 - tuned['loss'] / base['loss']):.0%}"
    figures = f"{base['loss']:.3f} → {tuned['loss']:.3f}"
    few = loss["low"] is None
    figures += (
        "；回答太少，无法判断" if few else f"，差值的 95% 区间为 {loss['low']:.3f} 至 {loss['high']:.3f}"
    )
    words = f"{VERDICTS[loss['verdict']]}：微调后的模型在 {report['rows']} 条留出答案上的损失比原模型{change}（{figures}）。"
    if "recognised" in tuned:
        words += f"实际提问中，微调后能认定为正确的占 {tuned['recognised']:.0%}，原模型占 {base['recognised']:.0%}。"
    return words


def remark_in_chinese(held_out: Mapping[str, Any]) -> str:
    """Why the figures are not of the test split; empty where they are."""
    if held_out["split"] == "test":
        return ""
    rejected = held_out["test_rejected"]
    why = "没有样本落入测试集；请把文件放到 data_dir 的 test/ 下，或调大 test_fraction"
    if rejected:
        why = f"tokenize 拒绝了全部 {rejected} 条测试样本；原因见 tokenize_rejects（answer_too_long：请调大 max_sequence_length）"
    if held_out["split"] == "validation":
        return f"以上为验证集的结果，训练过程可能参考过它：{why}。"
    return f"没有留出的数据：{why}。"


def forgetting_in_chinese(report: Mapping[str, Any]) -> str:
    """What became of general questions, from the same figures."""
    base, tuned = report["general"]["base"], report["general"]["tuned"]
    change = tuned["bits_per_character"] - base["bits_per_character"]
    words = f"通用问题每个字符比微调前{'多' if change > 0 else '少'}用 {abs(change):.2f} 比特"
    return f"{words}；使用思考块的回答占 {tuned['thinking_rate']:.0%}，微调前占 {base['thinking_rate']:.0%}。"
