"""Question-and-answer files in, a fine-tuned Qwen3 out: a Kedro pipeline for one ordinary GPU."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qwen_pipeline.facade import DataPipeline, MemoryOptimizer, ModelManager

__version__ = "0.1.0"
__all__ = ["DataPipeline", "MemoryOptimizer", "ModelManager"]


def __getattr__(name: str) -> Any:
    """Import the guide's names when they are asked for."""
    if name in __all__:
        from qwen_pipeline import facade

        return getattr(facade, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
