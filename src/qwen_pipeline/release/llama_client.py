"""llama.cpp as a client of an exported file, where ``llama-cpp-python`` is installed (an optional extra)."""

import ctypes
import importlib
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from qwen_pipeline.errors import ExportError
from qwen_pipeline.release.reading import LogitReading, trained_positions

INSTALL = 'pip install "llama-cpp-python>=0.3.16"'


def is_installed() -> bool:
    """Whether llama.cpp can be used here."""
    return find_spec("llama_cpp") is not None


def require_llama(wanted: str) -> None:
    """Make sure that llama.cpp is there before any work.

    Args:
        wanted: The parameter that needs it, for the message.

    Raises:
        ExportError: It is not installed.
    """
    if not is_installed():
        raise ExportError(f"{wanted} needs llama.cpp's own quantiser; {INSTALL}, or set gguf_types=f16+q8_0.")


def quantise(source: Path, target: Path, kind: str) -> None:
    """Make a smaller file with llama.cpp's quantiser.

    Args:
        source: The f16 file.
        target: The file to write.
        kind: ``q4_k_m``, ``q5_k_m`` or ``q6_k``.

    Raises:
        ExportError: llama.cpp refuses the file.
    """
    llama_cpp = importlib.import_module("llama_cpp")
    _silence(llama_cpp)
    options = llama_cpp.llama_model_quantize_default_params()
    options.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{kind.upper()}")
    if llama_cpp.llama_model_quantize(str(source).encode(), str(target).encode(), ctypes.byref(options)):
        target.unlink(missing_ok=True)
        raise ExportError(
            f"llama.cpp could not quantise {source.name} to {kind}; set gguf_types=f16+q8_0 (a row of 256 "
            "weights is the least that K-quants take)."
        )


class LlamaClient:
    """A GGUF file opened by llama.cpp on the CPU."""

    def __init__(self, path: Path, context_tokens: int, threads: int) -> None:
        """Open the file.

        Args:
            path: The file.
            context_tokens: The longest row, with room for an answer.
            threads: Threads of the CPU.
        """
        llama_cpp = importlib.import_module("llama_cpp")
        self._chat = importlib.import_module("llama_cpp.llama_chat_format")
        self._llama: Any = llama_cpp.Llama(
            model_path=str(path), n_ctx=context_tokens, n_gpu_layers=0, n_threads=threads,
            n_threads_batch=threads, logits_all=True, verbose=False,
        )  # fmt: skip

    def prompt_ids(self, messages: Sequence[Mapping[str, str]]) -> list[int]:
        """The prompt as llama.cpp makes it from the template inside the file."""
        template = self._llama.metadata["tokenizer.chat_template"]
        formatter = self._chat.Jinja2ChatFormatter(template=template, eos_token="", bos_token="")
        prompt = formatter(messages=[dict(message) for message in messages]).prompt
        ids: list[int] = self._llama.tokenize(prompt.encode(), add_bos=False, special=True)
        return ids

    def read(self, rows: Sequence[Mapping[str, Any]]) -> LogitReading:
        """Its predictions of the trained tokens."""
        found = []
        for row in rows:
            self._llama.reset()
            self._llama.eval(row["input_ids"])
            logits = torch.from_numpy(self._llama.scores[: len(row["input_ids"]) - 1].copy())
            found.append(logits[trained_positions(row)])
        return LogitReading(torch.cat(found))

    def answer(self, prompt: Sequence[int], most_tokens: int, stops: frozenset[int]) -> list[int]:
        """The greedy answer, without the token that ended it."""
        self._llama.reset()
        self._llama.eval(list(prompt))
        answer: list[int] = []
        while len(answer) < most_tokens:
            token = int(self._llama.scores[self._llama.n_tokens - 1].argmax())
            if token in stops:
                break
            answer.append(token)
            self._llama.eval([token])
        return answer


def _silence(llama_cpp: Any) -> None:
    """Keep llama.cpp's own progress off the terminal; its callback must outlive the call."""
    global _CALLBACK
    _CALLBACK = llama_cpp.llama_log_callback(lambda *_: None)
    llama_cpp.llama_log_set(_CALLBACK, ctypes.c_void_p(0))


_CALLBACK: Any = None
