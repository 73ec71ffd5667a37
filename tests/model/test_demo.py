import json
import math
import shutil
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from model.tiny_model import load_plain_model
from qwen_pipeline.errors import ModelSourceError
from qwen_pipeline.model import demo
from qwen_pipeline.model.demo_corpus import corpus_files, pretraining_texts, read_pairs
from qwen_pipeline.model.demo_recipe import RECIPE
from qwen_pipeline.model.load import load_quantized_model
from qwen_pipeline.model.source import ModelSource
from qwen_pipeline.model.tokenizer import load_tokenizer

SHORT = replace(RECIPE, vocabulary=320, hidden_size=64, intermediate_size=128, layers=1, steps=3)


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    folder = tmp_path / "sample"
    (folder / "test").mkdir(parents=True)
    rows = [("What is a rank?", "A width."), ("Rank means what?", "A width."), ("学习率？", "步长。")]
    markdown = "# Title\n\n" + "\n\n".join(f"Q{n}: {q}\nA{n}: {a}" for n, (q, a) in enumerate(rows, 1)) + "\n"
    (folder / "faq.md").write_bytes(markdown.encode("gb18030"))
    turn = {"messages": [{"role": "user", "content": "More?"}, {"role": "assistant", "content": "No."}]}
    (folder / "more.jsonl").write_bytes(b"\xef\xbb\xbf" + json.dumps(turn).encode() + b"\n")
    (folder / "test/held_out.md").write_text("Q1: SECRET?\nA1: SECRET.\n")
    return folder


@pytest.fixture
def cache(tmp_path: Path, samples: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(demo, "sample_directory", lambda: samples)
    return tmp_path / "cache/qwen-pipeline"


def test_pretraining_sees_no_question_with_its_answer_and_nothing_held_out(samples: Path) -> None:
    pairs = read_pairs(list(corpus_files(samples).values()))
    assert ("Rank means what?", "A width.") in pairs
    assert ("学习率？", "步长。") in pairs
    assert ("More?", "No.") in pairs
    texts = ["".join(text) for text in pretraining_texts(pairs)]
    assert not any("SECRET" in text for text in texts)
    for question, answer in pairs:
        assert any(answer in text for text in texts)
        assert not any(question in text and answer in text for text in texts)
    assert any("What is a rank?" in text and "Rank means what?" in text for text in texts)


def test_the_same_recipe_and_samples_give_the_same_bytes(samples: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        torch.manual_seed(len(name))
        demo.build_demo_model(tmp_path / name, samples, SHORT)
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes(), file.name


def test_the_demo_is_a_qwen3_with_control_tokens_and_its_own_template(samples: Path, tmp_path: Path) -> None:
    demo.build_demo_model(tmp_path / "demo", samples, SHORT)
    source = ModelSource(str(tmp_path / "demo"))
    assert source.config()["architectures"] == ["Qwen3ForCausalLM"]
    tokenizer = load_tokenizer(source)
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}], add_generation_prompt=True, tokenize=False
    )
    assert prompt == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n<think>\n"
    for token in ("<|im_start|>", "<|im_end|>", "<|endoftext|>", "<think>", "</think>"):
        assert len(tokenizer(token)["input_ids"]) == 1
    assert tokenizer.eos_token == "<|im_end|>"
    text = "你好 world 🎉\n\n  x"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert load_quantized_model(source)(torch.arange(9)[None]).logits.isfinite().all()


def test_it_is_built_once_even_when_two_ask_at_once(
    cache: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[Path] = []

    def build(target: Path, samples: Path) -> None:
        built.append(target)
        shutil.copytree(tiny_model, target, dirs_exist_ok=True)

    monkeypatch.setattr(demo, "build_demo_model", build)
    threads = [threading.Thread(target=demo.demo_directory) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1
    assert demo.demo_directory().parent == cache
    assert not built[0].exists()


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
@pytest.mark.parametrize("emptied", [True, False])
def test_a_demo_that_was_damaged_is_built_again(
    cache: Path, tiny_model: Path, name: str, emptied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(target: Path, samples: Path) -> None:
        shutil.copytree(tiny_model, target, dirs_exist_ok=True)

    monkeypatch.setattr(demo, "build_demo_model", build)
    damaged = demo.demo_directory() / name
    whole = damaged.read_bytes()
    damaged.write_bytes(b"") if emptied else damaged.unlink()
    assert (demo.demo_directory() / name).read_bytes() == whole


def test_a_build_that_fails_leaves_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(target: Path, samples: Path) -> None:
        (target / "config.json").write_text("{}")
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "build_demo_model", build)
    with pytest.raises(KeyboardInterrupt):
        demo.demo_directory()
    assert not [path for path in cache.iterdir() if path.is_dir()]


def test_other_samples_are_another_model_but_held_out_ones_are_not(cache: Path, samples: Path) -> None:
    before = demo.demo_digest()
    (samples / "test/held_out.md").write_text("Q1: OTHER?\nA1: OTHER.\n")
    assert demo.demo_digest() == before
    (samples / "faq.md").write_text("Q1: Else?\nA1: Yes.\n")
    assert demo.demo_digest() != before


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(ModelSourceError, match="XDG_CACHE_HOME"):
        demo.demo_directory()


@pytest.mark.slow
def test_the_demo_predicts_held_out_text_better_than_token_frequencies(project_dir: Path) -> None:
    """Cross-entropy in nats a token on the held-out wordings, against an add-one unigram model."""
    samples = project_dir / "data/sample"
    source = ModelSource("demo")
    tokenizer = load_tokenizer(source)
    seen: Counter[int] = Counter()
    for text in pretraining_texts(read_pairs(list(corpus_files(samples).values()))):
        seen.update(id_ for part in text for id_ in tokenizer(part)["input_ids"])
    model = load_plain_model(source, dtype=torch.float32)
    model_loss = unigram_loss = tokens = 0.0
    held_out = read_pairs(
        sorted((samples / "test").rglob("*.jsonl")) + sorted((samples / "test").rglob("*.md"))
    )
    assert len(held_out) >= 40
    for question, _ in held_out:
        ids = tokenizer(f"<|im_start|>user\n{question}<|im_end|>\n")["input_ids"]
        with torch.no_grad():
            model_loss += float(model(torch.tensor([ids]), labels=torch.tensor([ids])).loss) * (len(ids) - 1)
        total = sum(seen.values()) + RECIPE.vocabulary
        unigram_loss -= sum(math.log((seen[id_] + 1) / total) for id_ in ids[1:])
        tokens += len(ids) - 1
    assert model_loss / tokens < 0.8 * unigram_loss / tokens


def test_sample_files_of_this_project_are_found(project_dir: Path) -> None:
    assert demo.sample_directory() == project_dir / "data/sample"
    pairs = read_pairs(list(corpus_files(demo.sample_directory()).values()))
    assert len({answer for _, answer in pairs}) >= 40
