"""What a command tells when something fails."""

import errno

import pytest

from qwen_pipeline.commands.project import explained_by, one_sentence
from qwen_pipeline.errors import DataError, DiskSpaceError


def raised_from(cause: Exception) -> Exception:
    try:
        raise RuntimeError("as a library wraps it") from cause
    except RuntimeError as failure:
        return failure


def test_the_users_mistake_is_found_behind_what_a_library_wrapped_around_it() -> None:
    mistake = DataError("data_dir=x does not exist")
    assert explained_by(raised_from(mistake)) is mistake


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_a_disk_that_takes_nothing_is_told_with_the_place_and_the_remedy(number: int) -> None:
    told = explained_by(raised_from(OSError(number, "as the system says", "data/x")))
    assert isinstance(told, DiskSpaceError)
    assert "data/x cannot be written: as the system says" in str(told)


def test_a_bug_keeps_its_traceback() -> None:
    bug = KeyError("ours")
    assert explained_by(raised_from(bug)) is None

    @one_sentence
    def fail() -> None:
        raise bug

    with pytest.raises(KeyError):
        fail()


def test_a_mistake_ends_the_command_with_one_line_and_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    @one_sentence
    def fail() -> None:
        raise DataError("one sentence")

    with pytest.raises(SystemExit) as stop:
        fail()
    assert stop.value.code == 1
    assert capsys.readouterr().err.strip() == "one sentence"
