"""What a machine does to a whole run: the system kills one of its workers."""

from __future__ import annotations

import pytest
from kedro_project import TINY, NewProject

pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]

ALONE = TINY | {"candidates": {}}
# Raw data that kills the worker which reads it, as the system does where memory runs out.
KILLING = '''
import multiprocessing, os, signal
from thresher.readers.bundled import BundledDigits

class KillingDigits(BundledDigits):
    """Digits that cannot be read in a worker process."""

    def load(self):
        if multiprocessing.parent_process() is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().load()
'''


@pytest.mark.oddity("Runs", "a worker of ParallelRunner is killed", "the run ends with a sentence")
def test_a_worker_that_is_killed_ends_the_run_with_a_sentence(new_project: NewProject) -> None:
    project = new_project("killed_worker")
    (project.folder / "src" / "killing.py").write_text(KILLING)
    entries = {f"killing.{split}": {"type": "killing.KillingDigits", "split": split} for split in ("train", "test")}
    project.write_configuration("base", "catalog_killing", entries)
    data = {"modality": "image", "train": "killing.train", "test": "killing.test"}
    project.write_recipe("small", ALONE | {"data": data})
    done = project.run("--runner", "ParallelRunner", "--tags", "contract").failed()
    assert "A worker process ended without an error" in done.text
    assert "--runner SequentialRunner" in done.text
    (run,) = project.mlflow_runs("small")
    assert run.info.status == "FAILED"
