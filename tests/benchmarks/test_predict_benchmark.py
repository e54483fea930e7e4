"""The script that measures `thresher predict` runs, compares answers and prints its table; no time is asserted."""

from __future__ import annotations

from pathlib import Path

from helpers.benchmark_scripts import import_scripts


def test_a_small_file_is_measured(project: Path, tmp_path: Path) -> None:
    script = import_scripts(project, predict="predict")["predict"]
    table = script.measure(num_rows=3000, rounds=1, batch=64, folder=tmp_path)
    assert [line.split(" | ")[0] for line in table.splitlines() if line.startswith("| ")][2:] == [
        "| thresher predict", "| loop", "| encoded",
    ]  # fmt: skip
    assert "Most memory of a process that scores the file: " in table
