"""The demo model: built on this machine from the bundled samples, once, and kept in the user's cache.

``$XDG_CACHE_HOME/qwen-pipeline`` (or ``~/.cache/qwen-pipeline``) holds one directory for each recipe
and set of samples. Nothing is downloaded. No torch here until a model has to be built.
"""

import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qwen_pipeline.errors import ModelSourceError
from qwen_pipeline.model.demo_corpus import corpus_files, pretraining_texts, read_pairs
from qwen_pipeline.model.demo_recipe import RECIPE, DemoRecipe, recipe_digest
from qwen_pipeline.model.local_files import check_directory

_LOGGER = logging.getLogger(__name__)
_LOCK_SECONDS = 900.0


def demo_directory() -> Path:
    """The demo model's directory; builds it first if this machine does not have it, or not whole.

    Raises:
        ModelSourceError: The samples are missing, or the cache cannot be written.
    """
    target = cache_directory() / f"demo-{demo_digest()[:16]}"
    if target.is_dir() and _damage(target) is None:
        return target
    try:
        with _locked(target):
            if target.is_dir() and (damage := _damage(target)):
                _LOGGER.warning("The demo model is damaged, and is built again: %s", damage)
                shutil.rmtree(target)
            if not target.is_dir():
                _build_in_cache(target)
    except OSError as error:
        raise ModelSourceError(
            f"The demo model cannot be kept in {target.parent} ({error}); set XDG_CACHE_HOME to a folder "
            "that can be written."
        ) from error
    return target


def demo_digest() -> str:
    """Identifies the demo model of this recipe, these samples and the installed libraries."""
    return recipe_digest(RECIPE, corpus_files(sample_directory()))


def cache_directory() -> Path:
    """Where built models are kept."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "qwen-pipeline"


def sample_directory() -> Path:
    """The bundled samples: beside the source of this package, or below the working directory.

    Raises:
        ModelSourceError: They are in neither place.
    """
    candidates = (Path(__file__).resolve().parents[3] / "data/sample", Path("data/sample").resolve())
    for candidate in candidates:
        if corpus_files(candidate):
            return candidate
    raise ModelSourceError(
        f"model_name=demo is built from the bundled samples, and there are none in {candidates[0]}. "
        "Restore data/sample, or set model_name to a folder or a hub id."
    )


def build_demo_model(target: Path, samples: Path, recipe: DemoRecipe = RECIPE) -> None:
    """Train the tokenizer, pretrain the model and write both in the usual layout.

    Args:
        target: An empty directory.
        samples: A folder with questions and answers.
        recipe: Shape and pretraining.
    """
    import torch

    from qwen_pipeline.model.demo_pretrain import pretrain
    from qwen_pipeline.model.demo_tokenizer import train_tokenizer

    pairs = read_pairs(list(corpus_files(samples).values()))
    texts = pretraining_texts(pairs)
    tokenizer = train_tokenizer(["".join(text) for text in texts], recipe)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        model = pretrain(texts, tokenizer, recipe).to(torch.bfloat16)
    finally:
        torch.set_num_threads(threads)
    model.generation_config.update(
        do_sample=False, eos_token_id=[model.config.eos_token_id, model.config.pad_token_id]
    )
    with _without_progress_bars():
        model.save_pretrained(target)
        tokenizer.save_pretrained(target)


def _damage(target: Path) -> str | None:
    """What somebody's hand, or a full disk, did to the files; ``None`` where they are whole."""
    try:
        check_directory(target)
        json.loads((target / "tokenizer.json").read_bytes())
    except (ModelSourceError, OSError, ValueError) as error:
        return str(error)
    return None


def _build_in_cache(target: Path) -> None:
    """Build beside ``target`` and rename: a half-built model is never found under its name."""
    _LOGGER.info("Building the demo model (once on this machine, about a minute)")
    start = time.monotonic()
    unfinished = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        build_demo_model(unfinished, sample_directory())
        unfinished.chmod(0o755)
        unfinished.rename(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    _LOGGER.info("Built the demo model in %.0f s: %s", time.monotonic() - start, target)


@contextmanager
def _without_progress_bars() -> Iterator[None]:
    """Writing five megabytes needs no bar; transformers' setting is put back."""
    from transformers.utils import logging as library

    shown = library.is_progress_bar_enabled()
    library.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            library.enable_progress_bar()


@contextmanager
def _locked(target: Path) -> Iterator[None]:
    """Hold the lock of one model; a second process waits until the first has built it.

    The lock is an advisory one of the operating system, so a killed builder leaves none behind.
    """
    import fcntl

    target.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + _LOCK_SECONDS
    with (target.parent / f".{target.name}.lock").open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        yield
