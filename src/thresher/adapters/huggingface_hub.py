"""huggingface_hub: what is left of a download. `hf_hub_download` deletes what a killed one has brought."""

from __future__ import annotations

from pathlib import Path


def resume_download(url: str, part: Path, num_bytes: int, name: str) -> None:
    """Bring what the file ``part`` still lacks of the ``num_bytes`` at ``url``; it is tried again where it breaks off.

    Args:
        name: what the progress bar shows.

    Raises:
        OSError: the disk refuses, or other bytes than announced have come.
        huggingface_hub.errors.HfHubHTTPError: the hub refuses.
    """
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    if part.exists() and part.stat().st_size > num_bytes:
        part.unlink()
    with part.open("ab") as file:
        held = file.tell()
        http_get(
            url, file, resume_size=held, headers=build_hf_headers(), expected_size=num_bytes, displayed_filename=name
        )
