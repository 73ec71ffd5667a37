"""Peak memory of an export of some GB: random weights of Qwen3-4B's shapes at reduced depth, merged and checked.

python benchmarks/bench_export_memory.py CONFIG_FOLDER [--layers 6] [--formats merged+gguf] > result.json

CONFIG_FOLDER holds config.json and the tokenizer files of the model, no weights. Base, adapter and export are written into a
temporary folder (about four times the model's size) and removed. Peak is the process' resident memory sampled every
20 ms, file pages of mapped weights included.
"""

import argparse
import json
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

from qwen_pipeline.chat.template import prompt_ids
from qwen_pipeline.model.source import ModelSource
from qwen_pipeline.model.tokenizer import load_tokenizer
from qwen_pipeline.params.export import ExportParameters
from qwen_pipeline.release.exports import Exports

GIB = 2**30


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config_folder", type=Path)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--formats", default="merged")
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--folder", type=Path, default=None, help="Where the temporary files go.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        base = write_base(options.config_folder, Path(folder) / "base", options.layers)
        adapter = write_adapter(base, Path(folder) / "adapter")
        print(
            json.dumps(measure(base, adapter, Path(folder) / "out", options.formats, options.rows), indent=2)
        )


def write_base(config_folder: Path, target: Path, layers: int) -> Path:
    """Random bfloat16 weights in one file a layer, so that making them takes little memory itself."""
    shutil.copytree(config_folder, target, ignore=shutil.ignore_patterns("*.safetensors"))
    target.chmod(0o755)
    for path in target.iterdir():
        path.chmod(0o644)
    config = json.loads((target / "config.json").read_text())
    config |= {"num_hidden_layers": layers, "max_window_layers": layers}
    config.pop("layer_types", None)
    (target / "config.json").write_text(json.dumps(config))
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(target))
    torch.manual_seed(0)
    index: dict[str, str] = {}
    groups: dict[str, list[str]] = {}
    for name in model.state_dict():
        if name != "lm_head.weight" or not config["tie_word_embeddings"]:
            groups.setdefault(name.split(".")[2] if ".layers." in name else name, []).append(name)
    for number, names in enumerate(groups.values()):
        file = f"model-{number:05}.safetensors"
        save_file({name: _random(name, model.state_dict()[name].shape) for name in names}, target / file)
        index |= dict.fromkeys(names, file)
    (target / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    return target


def _random(name: str, shape: torch.Size) -> torch.Tensor:
    if name.endswith("norm.weight"):
        return torch.ones(shape, dtype=torch.bfloat16)
    return torch.empty(shape, dtype=torch.bfloat16).normal_(std=0.02)


def write_adapter(base: Path, target: Path, rank: int = 16) -> Path:
    """An adapter of all linear layers, as peft writes it, without loading the base."""
    config = AutoConfig.from_pretrained(base)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    torch.manual_seed(1)
    tensors = {}
    linear = {
        name: m for name, m in model.named_modules() if isinstance(m, torch.nn.Linear) and "layers" in name
    }
    for name, module in linear.items():
        tensors[f"base_model.model.{name}.lora_A.weight"] = torch.randn(rank, module.in_features) * 0.02
        tensors[f"base_model.model.{name}.lora_B.weight"] = torch.randn(module.out_features, rank) * 0.01
    target.mkdir()
    save_file(tensors, target / "adapter_model.safetensors")
    settings: dict[str, Any] = {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "r": rank, "lora_alpha": 2 * rank, "bias": "none",
        "target_modules": sorted({name.rpartition(".")[2] for name in linear}),
        "base_model_name_or_path": str(base),
    }  # fmt: skip
    (target / "adapter_config.json").write_text(json.dumps(settings))
    load_tokenizer(ModelSource(str(base))).save_pretrained(str(target))
    return target


def measure(base: Path, adapter: Path, out: Path, formats: str, rows: int) -> dict[str, Any]:
    """Run the export and sample this process' memory."""
    source = ModelSource(str(base))
    tokenizer = load_tokenizer(source)
    turns = [
        {"role": "user", "content": "What does a learning rate do?"},
        {"role": "assistant", "content": "It scales."},
    ]
    prompt = prompt_ids(tokenizer, turns[:1])
    answer = tokenizer("\n</think>\n\nIt scales the step.<|im_end|>", add_special_tokens=False)["input_ids"]
    row = {"input_ids": prompt + answer, "labels": [-100] * len(prompt) + answer}
    parameters = ExportParameters(export_formats=formats, export_max_mean_kl=1.0)
    exports = Exports(source, adapter, parameters, out, lambda *_: "")
    size = sum(path.stat().st_size for path in base.glob("*.safetensors"))
    process, before, peak, done = (
        psutil.Process(),
        psutil.Process().memory_info().rss,
        [0, 0],
        threading.Event(),
    )

    def sample() -> None:
        while not done.wait(0.02):
            memory = process.memory_info()
            peak[:] = max(peak[0], memory.rss), max(peak[1], memory.rss - memory.shared)

    thread = threading.Thread(target=sample)
    thread.start()
    began = time.perf_counter()
    try:
        report = exports.run([row] * rows, [turns] * rows)
    finally:
        done.set()
        thread.join()
    return {
        "model_gib": size / GIB,
        "allowed_gib": size / GIB + 2,
        "before_gib": before / GIB,
        "peak_gib": peak[0] / GIB,
        "peak_without_file_pages_gib": peak[1] / GIB,
        "seconds": time.perf_counter() - began,
        "merged_into": report["merged_into"],
        "checks": {check["export"]: check["mean_kl"] for check in report["checks"]},
    }


if __name__ == "__main__":
    main()
