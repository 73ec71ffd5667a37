"""The clean stage."""

from qwen_pipeline.pipelines.clean.pipeline import create_pipeline

__all__ = ["create_pipeline"]
