import pytest

from chronik.cli.exit_codes import ExitCode
from chronik.cli.failure import Failure
from chronik.cli.guard import guarded
from chronik.client.errors import ClientError, Unreachable


@pytest.mark.parametrize(
    ("error", "code", "shown"),
    [
        (Failure("no", "do this"), ExitCode.FAILED, "error: no\ndo this\n"),
        (Failure("no", exit_code=ExitCode.USAGE), ExitCode.USAGE, "error: no\n"),
        (ClientError("refused", hint="try that"), ExitCode.FAILED, "error: refused\ntry that\n"),
        (Unreachable("nobody"), ExitCode.UNREACHABLE, "error: nobody\n"),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED, ""),
        (IsADirectoryError(21, "Is a directory"), ExitCode.FAILED, "error: Is a directory\n"),
        (PermissionError(13, "Permission denied", "/x"), ExitCode.FAILED, "error: /x: Permission denied\n"),
    ],
)
def test_errors_become_exit_codes(
    error: BaseException, code: ExitCode, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    @guarded
    def command() -> None:
        raise error

    with pytest.raises(SystemExit) as caught:
        command()
    assert caught.value.code == code
    captured = capsys.readouterr()
    assert captured.err == shown
    assert captured.out == ""


def test_programmer_errors_are_not_hidden() -> None:
    @guarded
    def command() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        command()


def test_results_and_signatures_are_kept() -> None:
    @guarded
    def command(number: int, *, twice: bool = False) -> int:
        """Its words."""
        return number * 2 if twice else number

    assert command(4, twice=True) == 8
    assert command.__doc__ == "Its words."
