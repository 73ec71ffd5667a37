"""The guide's three names, for people who test one component at a time. They only delegate; S18 in docs/troubleshooting.md shows them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qwen_pipeline.params.ingest import DEFAULT_DATA_DIR, guide_data_dir

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class MemoryOptimizer:
    """A look at memory."""

    def monitor_gpu_memory(self) -> dict[str, float]:
        """Memory of GPU and host now, in GiB, by name; GPU values only where there is one."""
        import torch

        from qwen_pipeline.memory.measure import MemoryMeter

        meter = MemoryMeter("cuda" if torch.cuda.is_available() else "cpu")
        return meter.read().as_metrics(prefix="")


class ModelManager:
    """A model by name."""

    def load_model_with_quantization(
        self, model_name: str = "demo"
    ) -> "tuple[PreTrainedModel, PreTrainedTokenizerBase]":
        """Load a model in 4 bits with its tokenizer.

        Args:
            model_name: ``demo``, a folder, or a hub id.

        Raises:
            ModelSourceError: It cannot be found, reached or read.
            QuantizationError: 4-bit loading is not possible here.
        """
        import torch

        from qwen_pipeline.model.load import load_quantized_model
        from qwen_pipeline.model.source import ModelSource
        from qwen_pipeline.model.tokenizer import load_tokenizer

        source = ModelSource(model_name)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        return load_quantized_model(source, device=device), load_tokenizer(source)


class DataPipeline:
    """Question-and-answer files from a folder."""

    def load_qa_data_from_files(self, data_dir: str | Path = DEFAULT_DATA_DIR) -> list[dict[str, Any]]:
        """Decode and parse every file below a folder.

        Args:
            data_dir: The folder, or one file. The guide's ``data/raw`` is the default one where it does not exist.

        Returns:
            One row a conversation: ``question`` and ``answer`` (its last turn), ``messages``, ``source_file``,
            ``source_line``, ``encoding``.

        Raises:
            DataError: The folder is missing or holds no file.
        """
        import tempfile

        import pyarrow.parquet as pq

        from qwen_pipeline.datasets.raw_files import find_raw_files
        from qwen_pipeline.incremental.workspace import project_root
        from qwen_pipeline.text.read_files import ReadOptions, read_files

        root, given = project_root(), Path(guide_data_dir(data_dir)).expanduser()
        # a notebook works in a folder of its own: the default one is the project's all the same
        files = find_raw_files(
            root / given if given == Path(DEFAULT_DATA_DIR) else given, root / "data/sample"
        )
        with tempfile.TemporaryDirectory() as folder:
            examples, _, _ = read_files(files.values(), ReadOptions(), Path(folder), 1)
            rows: list[dict[str, Any]] = pq.read_table(examples).to_pylist()
        return [_with_question(row) for row in rows]


def _with_question(row: dict[str, Any]) -> dict[str, Any]:
    contents = [message["content"] for message in row["messages"]]
    return {"question": contents[-2], "answer": contents[-1], **row}
