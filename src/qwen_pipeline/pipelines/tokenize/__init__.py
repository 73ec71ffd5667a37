"""The tokenize stage."""

from qwen_pipeline.pipelines.tokenize.pipeline import create_pipeline

__all__ = ["create_pipeline"]
