"""Write the formats that are asked for, and hold each against the live adapter.

In this order: what can be refused is refused first; the live adapter is read and closed; both merges are read
layer by layer, and the better one is chosen; each format is written, opened by its client and compared.
"""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_args

import torch
from transformers import AutoConfig, GenerationConfig
from transformers import PreTrainedTokenizerBase as Tokenizer

from qwen_pipeline.errors import ExportError
from qwen_pipeline.incremental.content import files_below
from qwen_pipeline.incremental.durable import copy_folder
from qwen_pipeline.memory.measure import GIB
from qwen_pipeline.memory.place import keep_to_cap
from qwen_pipeline.model.device import compute_device, threads_for
from qwen_pipeline.model.merge import AdapterWeights, Foundation, MergedWeights, StoredWeights, write_merged
from qwen_pipeline.model.portable import portable_config, save_tokenizer
from qwen_pipeline.model.source import ModelSource
from qwen_pipeline.model.tokenizer import load_tokenizer
from qwen_pipeline.params.export import ExportParameters
from qwen_pipeline.release import clients
from qwen_pipeline.release.disk import export_bytes, require_space
from qwen_pipeline.release.gate import Check, require_passed, table_of
from qwen_pipeline.release.gguf_file import tensor_names, write_gguf
from qwen_pipeline.release.live import LiveAnswers, Row, read_live
from qwen_pipeline.release.llama_client import quantise, require_llama
from qwen_pipeline.release.ollama import write_modelfile
from qwen_pipeline.release.origin import require_same_base, require_same_tokenizer
from qwen_pipeline.release.reading import Distance, distance
from qwen_pipeline.release.streamed import read_streamed
from qwen_pipeline.release.turn_template import read_turn_template

K_QUANTS = ("q6_k", "q5_k_m", "q4_k_m")
ROUNDING = 0.2  # share of the bound; on the demo bfloat16 takes a fiftieth


@dataclass
class Exports:
    """One export run: what it is made from, and what has been found so far.

    Attributes:
        source: The base model.
        adapter: The adapter's folder.
        parameters: What is asked for.
        target: The folder to fill.
        card: The model card's text for a folder, its rows of the gate's table, and the files in it.
        licence: A file that goes into each folder.
    """

    source: ModelSource
    adapter: Path
    parameters: ExportParameters
    target: Path
    card: Callable[[str, Sequence[Mapping[str, Any]], Sequence[str]], str]
    licence: Path | None = None
    device: torch.device = field(default_factory=compute_device)
    checks: list[Check] = field(default_factory=list)
    merges: dict[str, Distance] = field(default_factory=dict)
    chosen: Foundation | None = None

    def run(self, rows: Sequence[Row], conversations: Sequence[Any]) -> dict[str, Any]:
        """Write and check everything.

        Args:
            rows: Tokenized rows, held out where there are any.
            conversations: For each row its whole conversation.

        Returns:
            The export report.

        Raises:
            ExportGateError: An export does not answer like the live adapter.
            ExportError: Something asked for cannot be made, found before anything was written.
            DiskSpaceError: The disk cannot take it.
        """
        parameters = self.parameters
        tokenizer = self._prepare(rows)
        keep_to_cap(parameters.max_memory_gb, self.device)
        config = AutoConfig.from_pretrained(str(self.source.directory()))
        exact = self.source.kind == "demo"
        with threads_for(config.hidden_size):
            live = read_live(self.source, self.adapter, tokenizer, rows, conversations, self.device)
            if "adapter" in parameters.formats:
                self._export_adapter(live)
            if set(parameters.formats) - {"adapter"}:
                weights = self._choose_merge(config, live)
                if "merged" in parameters.formats:
                    self._export_merged(weights, tokenizer, live)
                if "gguf" in parameters.formats:
                    self._export_gguf(config, weights, tokenizer, live)
                if "ollama" in parameters.formats:
                    self._export_ollama(config, tokenizer, live)
        require_passed(self.checks, parameters.export_max_mean_kl, exact, self.merges)
        table = table_of(self.checks, parameters.export_max_mean_kl, exact)
        self._describe(table)
        return self._report(table, live)

    def _report(self, table: list[dict[str, Any]], live: LiveAnswers) -> dict[str, Any]:
        return {
            "formats": list(self.parameters.formats),
            "checks": table,
            "merges": {name: asdict(found) for name, found in self.merges.items()},
            "merged_into": self.chosen,
            "rows": len(live.rows),
            "tokens": len(live.targets),
            "live_loss": distance(live.reading, live.reading, live.targets).loss,
            "prompts_as_trained": live.as_trained,
            "files": {name: stat.st_size for name, stat in files_below(self.target)},
        }

    def _prepare(self, rows: Sequence[Row]) -> Tokenizer:
        """Refuse what cannot be made, before anything is loaded or written."""
        formats, types = self.parameters.formats, self.parameters.types
        if not rows:
            raise ExportError(
                "There is no row to compare exports on; run again: kedro run --pipeline tokenize."
            )
        require_same_base(self.adapter, self.source)
        tokenizer = load_tokenizer(self.source)
        require_same_tokenizer(self.adapter, tokenizer)
        if "gguf" in formats:
            wanted = next((name for name in types if name in K_QUANTS), None)
            if wanted:
                require_llama(f"gguf_types={wanted}")
        if "ollama" in formats:
            read_turn_template(tokenizer)
        adapter_bytes = sum(path.stat().st_size for path in self.adapter.iterdir() if path.is_file())
        if set(formats) - {"adapter"}:
            weights = StoredWeights(self.source.directory())
            if "gguf" in formats:
                tensor_names(AutoConfig.from_pretrained(str(self.source.directory())), weights)
            needed = export_bytes(weights.numbers, formats, types, adapter_bytes)
        else:
            needed = export_bytes(0, formats, types, adapter_bytes)
        require_space(self.target, needed, formats)
        return tokenizer

    def _choose_merge(self, config: Any, live: LiveAnswers) -> MergedWeights:
        """Read both merges and take the one with the lower loss among those near enough to the adapter."""
        quantised = torch.float16 if self.parameters.fp16 else torch.bfloat16
        quantised = quantised if self.parameters.bf16 or self.parameters.fp16 else torch.float32
        weights = AdapterWeights(self.adapter)
        merged: dict[Foundation, MergedWeights] = {}
        for foundation in get_args(Foundation):
            merged[foundation] = MergedWeights(
                self.source.directory(), weights, foundation, quantised, self.device
            )
            self.merges[foundation] = distance(
                live.reading, read_streamed(config, merged[foundation], live.rows, self.device), live.targets
            )
        self.chosen = choose(self.merges, self.parameters.export_max_mean_kl)
        return merged[self.chosen]

    def _export_adapter(self, live: LiveAnswers) -> None:
        folder = self.target / "adapter"
        copy_folder(self.adapter, folder)
        revision = self.source.revision if self.source.kind == "hub" else None
        clients.write_base_path(folder, self.source.reference(), revision)
        self._finish(folder, live)
        self.checks.append(clients.check_adapter(folder, live))

    def _export_merged(self, weights: MergedWeights, tokenizer: Tokenizer, live: LiveAnswers) -> None:
        folder = self.target / "merged"
        dtype = weights.stored_dtype()
        write_merged(weights, folder, dtype, int(self.parameters.export_shard_gb * GIB))
        config = portable_config(self.source.config(), dtype)
        (folder / "config.json").write_text(
            json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8"
        )
        save_tokenizer(tokenizer, folder)
        self._finish(folder, live)
        self.checks.append(clients.check_merged(folder, live, self.device))

    def _export_gguf(
        self, config: Any, weights: MergedWeights, tokenizer: Tokenizer, live: LiveAnswers
    ) -> None:
        folder = self.target / "gguf"
        folder.mkdir(parents=True)
        names = tensor_names(config, weights)
        defaults = self.parameters.generation_config.model_dump()
        types = self.parameters.types
        plain = [kind for kind in types if kind not in K_QUANTS]
        if len(plain) < len(types) and "f16" not in plain:
            plain.insert(0, "f16")  # what llama.cpp quantises from; removed afterwards
        config.save_pretrained(str(folder))
        written = {
            kind: write_gguf(
                folder / f"model-{kind}.gguf", config, weights, tokenizer, kind, self.source.name, defaults
            )
            for kind in plain
        }
        for kind in types:
            path = folder / f"model-{kind}.gguf"
            if kind in K_QUANTS:
                quantise(folder / "model-f16.gguf", path, kind)
            self.checks.append(clients.check_gguf(path, kind, names, tokenizer, live, written.get(kind, {})))
        if "f16" not in types:
            (folder / "model-f16.gguf").unlink(missing_ok=True)
        (folder / "config.json").unlink()

    def _export_ollama(self, config: Any, tokenizer: Tokenizer, live: LiveAnswers) -> None:
        folder = self.target / "ollama"
        folder.mkdir(parents=True)
        kind = "q8_0" if "q8_0" in self.parameters.types else self.parameters.types[-1]
        turns = read_turn_template(tokenizer)
        generation = self.parameters.generation_config
        context = min(
            self.parameters.max_sequence_length + generation.max_new_tokens, config.max_position_embeddings
        )
        text = write_modelfile(f"../gguf/model-{kind}.gguf", turns, generation.model_dump(), context)
        (folder / "Modelfile").write_text(text, encoding="utf-8")
        self.checks.append(clients.check_modelfile(folder / "Modelfile", tokenizer, live))

    def _finish(self, folder: Path, live: LiveAnswers) -> None:
        """Generation settings in the words of transformers."""
        settings = self.parameters.generation_config.model_dump()
        if not settings["do_sample"]:
            settings = {
                name: settings[name] for name in ("max_new_tokens", "do_sample", "repetition_penalty")
            }
        GenerationConfig(**settings, eos_token_id=sorted(live.stops)).save_pretrained(str(folder))

    def _describe(self, table: Sequence[Mapping[str, Any]]) -> None:
        """Give each folder its card, with the gate's figures, and let everybody read what may be read here."""
        for name in self.parameters.formats:
            folder = self.target / name
            owns = {"adapter", "merged", "ollama"} & {name}
            checks = [row for row in table if row["export"] in (owns or self.parameters.types)]
            files = [path.name for path in sorted(folder.iterdir(), key=lambda path: -path.stat().st_size)]
            card = folder / "README.md"
            card.write_text(self.card(name, checks, files), encoding="utf-8")
            if self.licence is not None:
                shutil.copyfile(self.licence, folder / "LICENSE")
            for path in folder.iterdir():  # safetensors writes files that only their owner can read
                path.chmod(card.stat().st_mode)


def choose(merges: dict[str, Distance], max_mean_kl: float) -> Foundation:
    """The merge with the lower held-out loss among those within the bound, or else the nearest one.

    A merge that is better on a few rows but far from the adapter would not be the model that was evaluated. Some
    of the bound is kept for the rounding of what is written.
    """
    near = [name for name, found in merges.items() if found.mean_kl <= (1 - ROUNDING) * max_mean_kl]
    best = min(near or merges, key=lambda name: merges[name].loss if near else merges[name].mean_kl)
    return "16-bit" if best == "16-bit" else "4-bit"
