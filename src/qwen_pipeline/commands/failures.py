"""What libraries say when something fails, told so that a person can act: what, where, limit, remedy.

This is the one home of such sentences for failures that no stage caught closer to their cause. Data that
cannot be parsed is told by ingest itself (``NoExamplesError``, and line by line in ``ingest_rejects``). The
original stays behind the sentence: in the run's log file, and on the terminal with ``log_level=DEBUG``.
"""

import difflib
import errno
import platform
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from qwen_pipeline.doctor.checks.quantization import INSTALL
from qwen_pipeline.errors import (
    DataError,
    DiskSpaceError,
    EnvironmentProblemError,
    ModelSourceError,
    OutOfMemoryError,
    ParameterError,
    PipelineError,
    QuantizationError,
    UnsupportedModelError,
)
from qwen_pipeline.params.groups import GROUPS

FULL = {errno.EDQUOT, errno.EFBIG, errno.ENOSPC}
CLOSED = {errno.EACCES, errno.EIO, errno.EPERM}
IN_THE_WAY = (
    "A file, or a link that leads nowhere, stands where a folder is needed: put it right, and run again."
)
TANGLED = {
    errno.ELOOP: "A link leads back to itself: remove it, and run again.",
    errno.EEXIST: IN_THE_WAY,
    errno.ENOTDIR: IN_THE_WAY,
    errno.ENAMETOOLONG: "Shorten the name of the file or of a folder above it, and run again.",
}
HOST_MEMORY = (
    "The machine's own memory is used up ({line}). Set dataloader_num_workers=0, ingest_workers=1 and clean_workers=1, or "
    "close other programs."
)
WINDOWS, ELSEWHERE = r".venv\Scripts\python.exe", ".venv/bin/python"


@dataclass(frozen=True)
class Cure:
    """A failure known by its words.

    Attributes:
        words: Searched for in the failure's message, whatever the case.
        error: The class of the sentence.
        sentence: ``{0}``, ``{1}`` are the groups of ``words``, ``{line}`` the failure's first line; or a function of
            that line and those groups that makes the sentence.
    """

    words: str
    error: type[PipelineError]
    sentence: str | Callable[[str, tuple[str, ...]], str]

    def told(self, message: str) -> PipelineError | None:
        """The sentence, where the message has the words."""
        found = re.search(self.words, message, re.IGNORECASE | re.DOTALL)
        if found is None:
            return None
        line, groups = _first_line(message), found.groups()
        if callable(self.sentence):
            return self.error(self.sentence(line, groups))
        return self.error(self.sentence.format(*groups, line=line))


def explained_by(failure: BaseException) -> PipelineError | None:
    """The sentence for a failure; ``None`` where it is a defect of this project, whose traceback is wanted.

    A sentence of our own is found wherever it stands, because Kedro and others wrap what is raised below
    them. A library's words count only in the failure itself and in what it was raised from: what was being
    handled when a defect appeared does not explain the defect.
    """
    for one in _chain(failure, handled_too=True):
        if isinstance(one, PipelineError):
            return one
    for one in reversed(list(_chain(failure, handled_too=False))):  # the first cause says it most plainly
        if (told := _of_system(one) or _of_words(one)) is not None:
            return told
    return None


def _chain(failure: BaseException | None, handled_too: bool) -> Iterator[BaseException]:
    seen: set[int] = set()
    while failure is not None and id(failure) not in seen:
        seen.add(id(failure))
        yield failure
        failure = failure.__cause__ or (failure.__context__ if handled_too else None)


def _of_system(failure: BaseException) -> PipelineError | None:
    """What the operating system says by number and file name, whoever passed it on."""
    if isinstance(failure, MemoryError) or getattr(failure, "errno", None) == errno.ENOMEM:
        return OutOfMemoryError(HOST_MEMORY.format(line=_first_line(str(failure)) or "MemoryError"))
    if not isinstance(failure, OSError):
        return None
    if failure.errno in (errno.EMFILE, errno.ENFILE):
        return EnvironmentProblemError(
            f"Too many files are open at once: {failure.strerror}. Allow more with ulimit -n 4096, or set "
            "ingest_workers=1, clean_workers=1 and dataloader_num_workers=0, and run again."
        )
    return None if failure.filename is None else _of_file(failure)


def _of_file(failure: OSError) -> PipelineError | None:
    place = failure.filename.decode() if isinstance(failure.filename, bytes) else failure.filename
    if failure.errno == errno.ENOENT:
        return DataError(
            f"{place} is not there. If it was moved or removed while the run worked, put it back and run again; "
            "kedro doctor checks folders, data and model."
        )
    if failure.errno in TANGLED:
        return DataError(f"{_first_line(place)} cannot be used: {failure.strerror}. {TANGLED[failure.errno]}")
    if failure.errno == errno.EROFS:
        return DiskSpaceError(
            f"{place} cannot be written: its disk is mounted read-only, and no right helps there. Mount it writable, or copy "
            "the project to a disk that is, and run again."
        )
    if failure.errno in FULL | CLOSED:
        verb = "written" if failure.errno in FULL else "opened or written"
        return DiskSpaceError(
            f"{place} cannot be {verb}: {failure.strerror}. Make room or give this user the right to write there, "
            "and run again; what was saved before stays."
        )
    return None


def _of_words(failure: BaseException) -> PipelineError | None:
    return next((told for cure in CURES if (told := cure.told(str(failure))) is not None), None)


def _first_line(message: str) -> str:
    line = next((line.strip() for line in message.splitlines() if line.strip()), "")
    return line if len(line) <= 200 else line[:199] + "…"


def _unknown_pipeline(line: str, found: tuple[str, ...]) -> str:
    names = (*GROUPS, "__default__")
    return f"--pipeline {found[0]}: there is no such pipeline.{_nearest(found[0], names)} There are: {', '.join(names)}."


def _unknown_namespace(line: str, found: tuple[str, ...]) -> str:
    return f"There is no namespace {found[0]} in this pipeline.{_nearest(found[0], GROUPS)} Namespaces are the stages: {', '.join(GROUPS)}."


def _catalog_entry(line: str, found: tuple[str, ...]) -> str:
    told = line if line.endswith(".") else " ".join([line, *found[1].strip().splitlines()[:1]])
    return f"{told.rstrip('.')}. Write it as conf/base/catalog.yml does, or take {found[0]} out of your own catalog."


def _nearest(name: str, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f" Did you mean {close[0]}?" if close else ""


def _other_model(line: str, found: tuple[str, ...]) -> str:
    return (
        f"The model's kind does not fit the installed transformers {_installed('transformers')} ({line}). Set model_name "
        "to a text-only Qwen3 such as Qwen/Qwen3-4B-Thinking-2507, or restore the pinned versions: make setup."
    )


def _no_four_bits(line: str, found: tuple[str, ...]) -> str:
    python = WINDOWS if platform.system() == "Windows" else ELSEWHERE
    return f"4-bit loading is not possible ({line}). Install what it needs with: {python} {INSTALL}"


def _driver(line: str, found: tuple[str, ...]) -> str:
    return (
        f"NVIDIA driver, card and torch {_installed('torch')} do not fit together ({line}). kedro doctor says which driver "
        "is needed; without a card, CUDA_VISIBLE_DEVICES= runs on the CPU."
    )


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(missing)"


# In this order: the narrower words first. Sources: the messages of PyTorch 2.13, transformers 5.23, huggingface_hub
# 2.4, bitsandbytes 0.50, safetensors, SQLite and Kedro 1.7, and those that the guide quotes.
CURES = (
    Cure(r"failed to find the pipeline named '([^']*)'", ParameterError, _unknown_pipeline),
    Cure(r"does not contain nodes with the following namespaces: \['([^']*)", ParameterError, _unknown_namespace),
    Cure(r"'load_versions' keys \[([^\],]*)", ParameterError,
         "--load-versions {0}: the catalog has no such dataset; kedro catalog describe-datasets lists them. "
         "Write it as --load-versions DATASET:VERSION."),
    Cure(r"module 'kedro\.runner' has no attribute '(\w+)'", ParameterError,
         "--runner {0}: Kedro has no such runner. Leave it out for runs that skip what is current, or take "
         "SequentialRunner, ThreadRunner or ParallelRunner."),
    Cure(r"pipeline does not contain (node|dataset)s named [\[{]'([^']*)", ParameterError,
         "There is no {0} {1} in this pipeline; kedro registry describe __default__ lists the nodes, "
         "kedro catalog describe-datasets the datasets."),
    Cure(r"catalog entry '([^']*)' is not a valid dataset configuration(.*)", ParameterError, _catalog_entry),
    Cure(r"dataset '([^']*)' must only contain arguments valid for()", ParameterError, _catalog_entry),
    Cure(r"parsing config for dataset '([^']*)':\n(.*)", ParameterError, _catalog_entry),
    Cure(r"pipeline contains no nodes after applying all provided filters", ParameterError,
         "Nothing is left to run: no node of this pipeline matches all of --tags, --nodes, --from-nodes and the like. "
         f"Tags are the stages: {', '.join(GROUPS)}."),
    Cure(r"no space left on device|database or disk is full|disk quota exceeded", DiskSpaceError,
         "A disk is full ({line}); df -h shows which. Make room and run again, what was saved before stays: "
         "kedro prune --keep 1 removes old versions; save_total_limit=1 and export_formats=adapter write less."),
    Cure(r"cuda out of memory|cuda error: out of memory|cublas_status_(alloc_failed|not_initialized)|cudnn_status_alloc_failed", OutOfMemoryError,
         "The GPU ran out of memory outside of a training step ({line}). See with nvidia-smi whether another program "
         "holds it; else lower max_sequence_length, set batch_size=auto, or see kedro memory-plan."),
    Cure(r"unable to allocate .* for an array|defaultcpuallocator|cannot allocate memory|failed to map segment", OutOfMemoryError, HOST_MEMORY),
    Cure(r"can't start new thread|resource temporarily unavailable", EnvironmentProblemError,
         "No further process or thread may be started ({line}). Allow more with ulimit -u, close other programs, or set "
         "OMP_NUM_THREADS=1, dataloader_num_workers=0, ingest_workers=1 and clean_workers=1."),
    Cure(r"couldn't connect to|max retries exceeded|outgoing traffic has been disabled|"
         r"trying to locate the file on the hub|cannot find the requested files in the (?:disk|local) cache", ModelSourceError,
         "The model hub cannot be reached ({line}). Three ways out: a mirror, HF_ENDPOINT=https://hf-mirror.com; a proxy, "
         "HTTPS_PROXY=http://HOST:PORT; a local folder, model_name=./FOLDER. A download that was interrupted goes on "
         "where it stopped."),
    Cure(r"could not determine home directory", EnvironmentProblemError,
         "This user has no home folder, and no name that would tell it. Set HOME to a folder that can be written."),
    Cure(r"config_class.*not consistent|does not recognize this architecture", UnsupportedModelError, _other_model),
    Cure(r"load_in_4bit|requires accelerate|install.*bitsandbytes|bitsandbytes.*(?:install|not available)", QuantizationError, _no_four_bits),
    Cure(r"does not have a padding token", ModelSourceError,
         "The tokenizer has no padding token ({line}). Name one of its vocabulary that does not end a turn: "
         'tokenizer_kwargs: {{pad_token: "<|endoftext|>"}}.'),
    Cure(r"expected all tensors to be on the same device", EnvironmentProblemError,
         "Model and inputs lie on two devices ({line}). Show one card only, CUDA_VISIBLE_DEVICES=0, and tell us with: "
         "kedro doctor --report support.json"),
    Cure(r"driver on your system is too old|driver version is insufficient|no kernel image is available|"
         r"not compiled with cuda enabled|error from cudagetdevicecount|cuda driver initialization failed|cuda unknown error",
         EnvironmentProblemError, _driver),
    Cure(r"no module named '(?!qwen_pipeline)([\w.]+)'", EnvironmentProblemError,
         "The package {0} is not installed or damaged ({line}). Restore the pinned packages: rm -rf .venv && make setup"),
)  # fmt: skip
