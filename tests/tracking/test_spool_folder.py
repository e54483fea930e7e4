"""What a run that was killed while it kept an entry for a server that is away leaves in the spool."""

from __future__ import annotations

from pathlib import Path

import pytest

from thresher.tracking.patience import waiting_folders
from thresher.tracking.run_context import SPOOL
from thresher.tracking.spool import Spooled, deliver_all


@pytest.mark.oddity("Runs", "a kill while an entry is kept for a server that is away", "the next run and sync go on")
def test_half_an_entry_stops_no_later_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SPOOL, str(tmp_path / "spool"))
    spooled = Spooled(tmp_path / "spool" / ("0" * 32))
    spooled.folder.mkdir(parents=True)
    (spooled.folder / ".00000000000000000001-7.json.7.part").write_bytes(b"{")
    assert spooled.deliver() == 0  # as after the last whole entry
    assert waiting_folders() == [] and deliver_all() == {}
