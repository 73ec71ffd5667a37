"""One raw file: its name, its size and its bytes, which are read only when somebody asks."""

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO


@dataclass(frozen=True, slots=True)
class RawFile:
    """A file of the user's data directory.

    Attributes:
        name: Posix path relative to the data directory; it names the file in every report.
        path: Where the file is.
        size: Bytes on disk.
    """

    name: str
    path: Path
    size: int

    def __call__(self) -> bytes:
        """All bytes of the file."""
        return self.path.read_bytes()

    def open(self) -> BinaryIO:
        """The file, open for reading bytes."""
        return self.path.open("rb")
