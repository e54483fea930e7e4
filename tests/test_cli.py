"""`kedro run` tells what a user can mend from what is a bug, however deep Kedro has wrapped it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from kedro.io import DatasetError

from thresher.cli import kedro_run as cli
from thresher.errors import ContractError, DataError, ThresherError, find_mendable
from thresher.readers import IdxImages


def test_cause_is_found_through_kedro_s_own_error(tmp_path: Path) -> None:
    dataset = IdxImages(path=str(tmp_path), images="a", labels="b", class_names=["a"], fetch="pets")
    with pytest.raises(DatasetError) as caught:
        dataset.load()
    mendable = find_mendable(caught.value)
    assert isinstance(mendable, DataError)
    assert "thresher fetch pets" in str(mendable)


def raise_chain() -> None:
    try:
        raise ContractError("first")
    except ContractError:
        # Without "from", as an except clause that fails itself leaves it.
        raise ValueError("second")  # noqa: B904


def test_context_counts_where_there_is_no_cause() -> None:
    with pytest.raises(ValueError, match="second") as caught:
        raise_chain()
    assert str(find_mendable(caught.value)) == "first"


def test_bugs_are_not_mendable() -> None:
    error = ValueError("a bug")
    error.__cause__ = KeyError("another")
    assert find_mendable(error) is None
    assert find_mendable(None) is None


def invoke(error: BaseException, *arguments: str) -> Result:
    """Run the command where Kedro's own ends with ``error``."""

    def run(**options: object) -> None:
        raise error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli.kedro_run, "callback", run)
        patch.setattr(cli.signal, "signal", lambda number, handler: None)
        patch.delenv("MLFLOW_RUN_ID", raising=False)
        return CliRunner().invoke(cli.cli, ["run", *arguments])


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [(ThresherError("what to do"), 1, "what to do"), (KeyboardInterrupt(), 130, "Interrupted")],
)
def test_exit_codes(error: BaseException, code: int, says: str) -> None:
    result = invoke(error)
    assert result.exit_code == code
    assert says in result.stderr


def test_bug_keeps_its_traceback() -> None:
    error = ZeroDivisionError("a bug")
    assert invoke(error).exception is error


def test_all_of_kedro_s_options_are_there() -> None:
    names = {option for parameter in cli.cli.commands["run"].params for option in parameter.opts}
    assert {
        "--pipeline",
        "--pipelines",
        "--env",
        "--params",
        "--tags",
        "--from-nodes",
        "--to-nodes",
        "--runner",
    } <= names
