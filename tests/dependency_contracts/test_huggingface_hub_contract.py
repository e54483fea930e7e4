"""What `thresher.adapters.huggingface_hub` relies on in huggingface_hub."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.contract import relied_on
from helpers.hub_server import Hub, serve_hub

from thresher.adapters.huggingface_hub import resume_download

ADAPTER = "src/thresher/adapters/huggingface_hub.py"


@pytest.mark.parametrize("held", [b"", b"abc", b"abcdef"])
def test_what_is_held_is_not_asked_for_again(held: bytes, tmp_path: Path) -> None:
    hub, part = Hub({"owner/name": {"model.safetensors": b"abcdef"}}), tmp_path / "part"
    part.write_bytes(held)
    with (
        relied_on("huggingface-hub", "http_get goes on from resume_size and ends where all is there", ADAPTER),
        serve_hub(hub) as address,
    ):
        resume_download(f"{address}/owner/name/resolve/main/model.safetensors", part, 6, "model.safetensors")
        assert part.read_bytes() == b"abcdef"
        assert (len(hub.requests), hub.ranges) == {0: (1, []), 3: (1, ["bytes=3-"]), 6: (0, [])}[len(held)]
