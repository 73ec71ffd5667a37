"""Every failure of a library that the guide quotes is told with what to do, however it is wrapped."""

import errno

import pytest

from qwen_pipeline.commands.failures import explained_by
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


def raised_from(cause: BaseException) -> Exception:
    try:
        raise RuntimeError("as Kedro wraps it") from cause
    except RuntimeError as failure:
        return failure


QUOTED: list[tuple[BaseException, type[PipelineError], str]] = [
    (
        RuntimeError("CUDA out of memory. Tried to allocate 1.50 GiB (GPU 0; 7.79 GiB total capacity)"),
        OutOfMemoryError, "max_sequence_length",
    ),
    (
        MemoryError("Unable to allocate 3.00 GiB for an array with shape (1, 2, 3)"),
        OutOfMemoryError, "dataloader_num_workers=0",
    ),
    (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), OutOfMemoryError, "own memory"),
    (OSError(errno.ENOMEM, "Cannot allocate memory"), OutOfMemoryError, "own memory"),
    (
        OSError("We couldn't connect to 'https://huggingface.co' to load this model"),
        ModelSourceError, "HF_ENDPOINT",
    ),
    (
        ValueError(
            "The model class you are passing has a `config_class` attribute that is not consistent with the config "
            "class you passed (model has <class A> and you passed <class B>. Fix one of those so they match!"
        ),
        UnsupportedModelError, "model_name",
    ),
    (
        ValueError("The checkpoint has model type `x` but Transformers does not recognize this architecture."),
        UnsupportedModelError, "transformers 5",
    ),
    (
        ImportError(
            "Using `load_in_4bit=True` requires Accelerate: `pip install accelerate` and the latest version of bitsandbytes"
        ),
        QuantizationError, "-m pip install",
    ),
    (OSError(errno.ENOSPC, "No space left on device"), DiskSpaceError, "kedro prune"),
    (OSError(errno.ENOSPC, "No space left on device", "data/x"), DiskSpaceError, "data/x cannot be written"),
    (OSError(errno.EROFS, "Read-only file system", "data/x"), DiskSpaceError, "mounted read-only"),
    (RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"), DiskSpaceError, "df -h"),
    (RuntimeError("(sqlite3.OperationalError) database or disk is full"), DiskSpaceError, "kedro prune"),
    (RuntimeError("can't start new thread"), EnvironmentProblemError, "ulimit -u"),
    (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), EnvironmentProblemError, "ulimit -u"),
    (ImportError("libtorch_python.so: failed to map segment from shared object"), OutOfMemoryError, "own memory"),
    (PermissionError(errno.EACCES, "Permission denied", "data/x"), DiskSpaceError, "data/x cannot be opened or written"),
    (
        FileNotFoundError(errno.ENOENT, "No such file or directory", "data/raw/qa_data.md"),
        DataError, "data/raw/qa_data.md is not there",
    ),
    (OSError(errno.ELOOP, "Too many levels of symbolic links", "data/a"), DataError, "data/a cannot be used"),
    (
        ValueError("Catalog entry 'foo' is not a valid dataset configuration. \nHint: If this"),
        ParameterError, "take foo out",
    ),
    (
        ValueError("An exception occurred when parsing config for dataset 'foo':\n'type' is missing from it"),
        ParameterError, "'type' is missing from it. Write it as",
    ),
    (
        ValueError("\nX.__init__() got an unexpected keyword argument 'y'.\nDataset 'foo' must only contain arguments valid for X."),
        ParameterError, "argument 'y'. Write it as",
    ),
    (FileExistsError(errno.EEXIST, "File exists", "data/.ledger"), DataError, "stands where a folder is needed"),
    (NotADirectoryError(errno.ENOTDIR, "Not a directory", "data/a/b"), DataError, "a link that leads nowhere, stands"),
    (OSError(errno.ENAMETOOLONG, "File name too long", "data/" + "a" * 300), DataError, "Shorten the name"),
    (OSError(errno.EMFILE, "Too many open files"), EnvironmentProblemError, "ulimit -n"),
    (OSError(errno.EMFILE, "Too many open files", "data/a"), EnvironmentProblemError, "ingest_workers=1"),
    (
        ValueError("Asking to pad but the tokenizer does not have a padding token."),
        ModelSourceError, "tokenizer_kwargs",
    ),
    (
        RuntimeError("Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu!"),
        EnvironmentProblemError, "CUDA_VISIBLE_DEVICES",
    ),
    (
        RuntimeError("The NVIDIA driver on your system is too old (found version 11040)."),
        EnvironmentProblemError, "kedro doctor",
    ),
    (
        RuntimeError("CUDA unknown error - this may be due to an incorrectly set up environment"),
        EnvironmentProblemError, "kedro doctor",
    ),
    (RuntimeError("Could not determine home directory."), EnvironmentProblemError, "Set HOME to a folder"),
    (ModuleNotFoundError("No module named 'peft'"), EnvironmentProblemError, "make setup"),
    (ValueError("Failed to find the pipeline named 'trian'. It needs to be"), ParameterError, "Did you mean train?"),
    (ValueError("Pipeline does not contain nodes named ['foo']."), ParameterError, "no node foo"),
    (ValueError("Pipeline contains no nodes after applying all provided filters. Please"), ParameterError, "--tags"),
    (
        ValueError("Pipeline does not contain nodes with the following namespaces: ['trian']"),
        ParameterError, "namespace trian in this pipeline. Did you mean train?",
    ),
    (
        ValueError("'load_versions' keys [nope] are not found in the catalog."),
        ParameterError, "--load-versions nope: the catalog has no such dataset",
    ),
    (AttributeError("module 'kedro.runner' has no attribute 'Foo'"), ParameterError, "--runner Foo"),
    (
        ValueError(f"got an unexpected keyword argument '{'n' * 200}'.\nDataset 'x' must only contain arguments valid for it."),
        ParameterError, "or take x out of your own catalog",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("failure", "kind", "told"), QUOTED, ids=lambda value: str(value)[:40])
def test_a_failure_that_the_guide_quotes_is_told_with_what_to_do(
    failure: BaseException, kind: type[PipelineError], told: str
) -> None:
    for raised in (failure, raised_from(failure)):
        explained = explained_by(raised)
        assert type(explained) is kind
        assert told in str(explained)
        assert "\n" not in str(explained)


def test_our_own_sentence_is_found_behind_what_a_library_wrapped_around_it() -> None:
    mistake = DataError("data_dir=x does not exist")
    assert explained_by(raised_from(mistake)) is mistake


def test_a_defect_of_ours_is_not_explained_away() -> None:
    assert explained_by(KeyError("ours")) is None
    assert explained_by(ModuleNotFoundError("No module named 'qwen_pipeline.nowhere'")) is None


def test_what_was_being_handled_when_a_defect_appeared_does_not_explain_it() -> None:
    try:
        try:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", "cache.json")
        except FileNotFoundError:
            raise KeyError("ours")  # noqa: B904
    except KeyError as failure:
        defect = failure
    assert explained_by(defect) is None


def test_a_long_message_is_cut_to_one_line() -> None:
    explained = explained_by(RuntimeError("CUDA out of memory. " + "x" * 1000 + "\nsecond line"))
    assert len(str(explained)) < 500
    assert "second line" not in str(explained)


def test_of_several_causes_the_first_is_told() -> None:
    try:
        try:
            raise RuntimeError("CUDA out of memory")
        except RuntimeError as first:
            raise RuntimeError("no space left on device") from first
    except RuntimeError as failure:
        assert isinstance(explained_by(failure), OutOfMemoryError)


def test_what_the_system_says_by_number_counts_before_the_words() -> None:
    failure = OSError(errno.ENOENT, "No such file or directory", "no space left on device")
    assert type(explained_by(failure)) is DataError


@pytest.mark.parametrize("number", [errno.EDQUOT, errno.EFBIG, errno.ENOSPC, errno.EROFS])
def test_whatever_keeps_a_file_from_being_written_is_a_matter_of_the_disk(number: int) -> None:
    assert "cannot be written" in str(explained_by(OSError(number, "it", "a.bin")))


def test_a_failure_that_is_its_own_cause_is_looked_at_once() -> None:
    failure, other = KeyError("a"), KeyError("b")
    failure.__cause__, other.__cause__ = other, failure
    assert explained_by(failure) is None
