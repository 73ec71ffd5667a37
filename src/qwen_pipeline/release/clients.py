"""Each export opened by the client it is for, and held against the live adapter."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from peft import AutoPeftModelForCausalLM
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

from qwen_pipeline.chat.messages import prepare_messages
from qwen_pipeline.chat.template import prompt_ids
from qwen_pipeline.memory.place import place_for
from qwen_pipeline.memory.recovery import release_memory
from qwen_pipeline.model.device import fast_dtype
from qwen_pipeline.model.dropout import switch_dropout_off
from qwen_pipeline.model.merge import StoredWeights
from qwen_pipeline.release.gate import Check
from qwen_pipeline.release.gguf_file import GgufWeights
from qwen_pipeline.release.gguf_vocabulary import same_vocabulary
from qwen_pipeline.release.live import (
    ANSWER_TOKENS,
    LiveAnswers,
    answers_to,
    share_equal,
)
from qwen_pipeline.release.llama_client import LlamaClient, is_installed
from qwen_pipeline.release.ollama import render_modelfile, stops_of
from qwen_pipeline.release.reading import Reading, distance, read_model
from qwen_pipeline.release.streamed import read_streamed

WHOLE_BYTES = 2**30  # a model of more in float32 is read layer by layer


def check_adapter(folder: Path, live: LiveAnswers) -> Check:
    """Open the adapter with plain peft, its base in 4 bits as it was trained on."""
    quantization = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.float32,
    )  # fmt: skip
    model = AutoPeftModelForCausalLM.from_pretrained(
        str(folder), quantization_config=quantization, dtype=torch.float32, device_map={"": live.device}
    )
    return _check_model("adapter", "peft", model, folder, live)


def check_merged(folder: Path, live: LiveAnswers, device: torch.device) -> Check:
    """Open the merged model with plain transformers.

    A small model is read in float32; a larger one too, but layer by layer, and it answers in its own 16 bits where those
    fit, so that no more memory is taken than the file has bytes. A CPU that only emulates 16 bits would take hours: there its
    answers are not compared, only what it predicts.
    """
    weights = StoredWeights(folder)
    if 4 * weights.numbers <= WHOLE_BYTES:
        model = AutoModelForCausalLM.from_pretrained(
            str(folder), dtype=torch.float32, device_map={"": device}
        )
        return _check_model("merged", "transformers", model, folder, live)
    reading = read_streamed(AutoConfig.from_pretrained(str(folder)), weights, live.rows, device)
    place = place_for(2 * weights.numbers, device, "The merged model")
    same_answers = None
    if place is not None and fast_dtype(place.type) != torch.float32:
        model = AutoModelForCausalLM.from_pretrained(str(folder), dtype="auto", device_map={"": place})
        same_answers = _same_answers(model, live)
        del model
        release_memory()
    return _check("merged", "transformers, by layer", folder, live, reading, same_answers)


def check_gguf(
    path: Path,
    kind: str,
    names: Mapping[str, str],
    tokenizer: Any,
    live: LiveAnswers,
    written: Mapping[str, str],
) -> Check:
    """Open a GGUF file with llama.cpp; without it, its tensors and vocabulary are read back and compared.

    Args:
        path: The file.
        kind: Its type.
        names: Its tensor names by those of transformers.
        tokenizer: The trained model's.
        live: What it is held against.
        written: The digest of each tensor that was written.
    """
    if is_installed():
        longest = max(len(row["input_ids"]) for row in live.rows) + ANSWER_TOKENS
        client = LlamaClient(path, longest, torch.get_num_threads())
        prompts = [client.prompt_ids(prepare_messages(turns)) for turns in live.conversations]
        answers = [client.answer(prompt, ANSWER_TOKENS, live.stops) for prompt in live.asked]
        found = distance(live.reading, client.read(live.rows), live.targets)
        return Check(
            kind, "llama.cpp", share_equal(prompts, live.prompts), found, share_equal(answers, live.answers)
        )
    weights = GgufWeights(path, names)
    config = AutoConfig.from_pretrained(str(path.parent))
    reading = read_streamed(config, weights, live.rows, torch.device("cpu"))
    there, found = weights.digests(), distance(live.reading, reading, live.targets)
    return Check(
        kind, "gguf (no llama.cpp here)", float(same_vocabulary(weights.field, tokenizer)), found,
        same_tensors=sum(there.get(name) == digest for name, digest in written.items()) / len(written),
    )  # fmt: skip


def check_modelfile(path: Path, tokenizer: Any, live: LiveAnswers) -> Check:
    """Render the conversations with a Modelfile's template: same prompts, same end of turn, a file to load."""
    modelfile = path.read_text(encoding="utf-8")
    prompts = [
        tokenizer(
            render_modelfile(modelfile, prepare_messages(turns)), add_special_tokens=False, verbose=False
        )["input_ids"]
        for turns in live.conversations
    ]
    stops = frozenset(tokenizer.convert_tokens_to_ids(stop) for stop in stops_of(modelfile))
    weights = (path.parent / modelfile.splitlines()[0].removeprefix("FROM ")).is_file()
    same = share_equal(prompts, live.prompts) if stops == live.stops and weights else 0.0
    return Check("ollama", "its template, rendered", same)


def write_base_path(adapter: Path, base: str, revision: str | None) -> None:
    """Name the base in an adapter's configuration so that plain peft finds it."""
    path = adapter / "adapter_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config |= {"base_model_name_or_path": base, "revision": revision}
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _check_model(export: str, client: str, model: Any, folder: Path, live: LiveAnswers) -> Check:
    model.train()  # evaluation mode repacks 4-bit weights on some CPUs; see load_quantized_model
    switch_dropout_off(model)
    reading, same_answers = read_model(model, live.rows), _same_answers(model, live)
    del model
    release_memory()
    return _check(export, client, folder, live, reading, same_answers)


def _check(
    export: str, client: str, folder: Path, live: LiveAnswers, reading: Reading, same_answers: float | None
) -> Check:
    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    prompts = [prompt_ids(tokenizer, turns) for turns in live.conversations]
    found = distance(live.reading, reading, live.targets)
    return Check(export, client, share_equal(prompts, live.prompts), found, same_answers)


def _same_answers(model: Any, live: LiveAnswers) -> float:
    return share_equal(answers_to(model, live.asked, live.stops), live.answers)
