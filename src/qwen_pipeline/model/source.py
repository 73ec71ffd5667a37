"""Where a base model comes from: the demo built here, a folder, or a hub.

``model_name`` is the word ``demo``, a path, or a hub id (``owner/name``). All three end in a local
directory; nothing above this file needs to know which of them it was. No torch here.
"""

import difflib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from qwen_pipeline.errors import ModelSourceError
from qwen_pipeline.model.architecture import require_supported

DEMO = "demo"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True)
class ModelSource:
    """A base model by name.

    Attributes:
        name: ``demo``, a directory, or a hub id.
        revision: A hub branch, tag or commit; None for the default branch.
    """

    name: str
    revision: str | None = None

    @property
    def kind(self) -> Literal["demo", "directory", "hub"]:
        """Which of the three kinds the name means.

        Raises:
            ModelSourceError: It is none of them.
        """
        if self.name == DEMO:
            return "demo"
        looks_like_path = self.name.startswith((".", "/", "~", "\\")) or bool(
            re.match(r"[A-Za-z]:", self.name)
        )
        if looks_like_path or self.path.is_dir():
            return "directory"
        if _HUB_ID.fullmatch(self.name):
            return "hub"
        raise ModelSourceError(self._unknown_name())

    def directory(self, weights: bool = True) -> Path:
        """The local directory with configuration, tokenizer and (unless declined) weights.

        The demo is built, a hub model downloaded (an interrupted download goes on where it stopped), a
        folder checked for missing and half-copied files. The architecture is accepted or refused before
        any weight is fetched.

        Args:
            weights: False asks only for the small files.

        Raises:
            ModelSourceError: It cannot be found, reached or read.
            UnsupportedModelError: Its architecture is not one that this project trains.
        """
        if self.kind == "demo":
            from qwen_pipeline.model.demo import demo_directory

            return demo_directory()
        if self.kind == "directory":
            from qwen_pipeline.model.local_files import check_directory

            return check_directory(self.path, weights=weights)
        from qwen_pipeline.model.hub import download

        small = download(self.name, self.revision, weights=False)
        require_supported(_read_config(small), self.name)
        return download(self.name, self.revision, weights=True) if weights else small

    def reference(self) -> str:
        """The name by which plain transformers and peft find the model: a hub id, or an absolute path."""
        return self.name if self.kind == "hub" else str(self.directory(weights=False).resolve())

    def config(self) -> dict[str, Any]:
        """The model's ``config.json``; reading it builds or fetches no weights except the demo's."""
        return _read_config(self.directory(weights=False))

    def fingerprint(self) -> dict[str, str]:
        """What identifies the model's content, without loading it: key to digest."""
        if self.kind == "demo":
            from qwen_pipeline.model.demo import demo_digest

            return {"demo": demo_digest()}
        if self.kind == "directory":
            from qwen_pipeline.model.local_files import directory_fingerprint

            return directory_fingerprint(self.directory())
        from qwen_pipeline.model.hub import resolve_commit

        return {"hub_id": self.name, "commit": resolve_commit(self.name, self.revision)}

    @property
    def path(self) -> Path:
        """The name read as a path."""
        return Path(self.name).expanduser()

    def _unknown_name(self) -> str:
        close = difflib.get_close_matches(self.name, [DEMO], n=1, cutoff=0.6)
        hint = f" Did you mean {close[0]}?" if close else ""
        return (
            f"model_name={self.name}: no such folder, and a hub id has the form owner/name "
            f"(Qwen/Qwen3-4B-Thinking-2507).{hint} Give a folder that exists, a hub id, or demo."
        )


def _read_config(directory: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    return loaded
