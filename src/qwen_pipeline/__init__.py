"""Question-and-answer files in, a fine-tuned Qwen3 out: a Kedro pipeline for one ordinary GPU."""

__version__ = "0.1.0"
