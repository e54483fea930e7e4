"""One file over HTTP into a .part file: resumed where it stopped, tried again where the connection breaks."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thresher.errors import FetchError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

MAX_ATTEMPTS = 5
CHUNK_BYTES = 1 << 16
CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 10, 60
TEMPORARY = {408, 425, 429, 500, 502, 503, 504}
FIX = "Fix: check the address and the network, choose another server with --mirror URL, or copy with --from FOLDER."


class _InterruptedError(Exception):
    """A break that another attempt may mend."""


def download(
    url: str, part: Path, num_bytes: int, console: Console, backoff_s: float, fix: str = FIX, goes_on: bool = True
) -> None:
    """Download ``url`` to ``part`` until it holds ``num_bytes`` bytes, going on from what it holds already.

    Attempts count only while nothing arrives. Whatever interrupts it, ``part`` stays for the next call.

    Args:
        fix: what a person can do where the server refuses or breaks off.
        goes_on: False where another attempt begins anew: nothing would tell if the server had another file by then.

    Raises:
        FetchError: the server refuses, sends too much, or breaks off ``MAX_ATTEMPTS`` times in a row.
        OSError: the disk refuses.
    """
    if _size(part) > num_bytes:
        part.unlink()
    attempt, most = 0, _size(part)
    with _progress(console) as progress:
        task = progress.add_task(part.stem, total=num_bytes, completed=_size(part))
        while _size(part) < num_bytes:
            try:
                if not goes_on:
                    part.unlink(missing_ok=True)
                _attempt(url, part, num_bytes, progress, task, fix)
            except _InterruptedError as error:
                attempt = 1 if _size(part) > most else attempt + 1
                most = max(most, _size(part))
                if attempt >= MAX_ATTEMPTS:
                    got = f"expected {num_bytes:,} bytes, got {_size(part):,}"
                    raise FetchError(f"{part.stem} from {url}: {got}; {error}. {fix}") from error
                time.sleep(backoff_s * 2 ** (attempt - 1))


def _attempt(url: str, part: Path, num_bytes: int, progress: Progress, task: Any, fix: str) -> None:
    """Append to ``part`` what one connection gives."""
    import requests
    from urllib3.exceptions import HTTPError

    held = _size(part)
    # "identity": a server that packs what is packed already would change the bytes that the checksum is about.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={held}-"} if held else {})
    timeout = (CONNECT_TIMEOUT_S, READ_TIMEOUT_S)
    try:
        with requests.get(url, headers=headers, stream=True, timeout=timeout) as response:
            start = _start_of(response, part, held, url, fix)
            _write(response, part, start, num_bytes, progress, task)
    except (requests.RequestException, HTTPError) as error:
        if isinstance(error, ValueError):  # requests' way to say that the address itself is wrong
            raise FetchError(f"{part.stem} from {url}: {error}. {fix}") from error
        raise _InterruptedError(_root_cause(error)) from error
    if _size(part) < num_bytes:
        raise _InterruptedError("the server ended the file early")


def _start_of(response: Any, part: Path, held: int, url: str, fix: str) -> int:
    """Return the byte at which the body of ``response`` begins."""
    if response.status_code == 206:
        given = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
        if given and int(given[1]) == held:
            return held
        part.unlink(missing_ok=True)
        raise _InterruptedError("the server sent another range than asked for")
    if response.status_code == 200:
        return 0  # the server knows no Range: from the start
    if response.status_code == 416:
        part.unlink(missing_ok=True)
        raise _InterruptedError("the server refuses to resume the download")
    reason = f"the server answers {response.status_code} {response.reason}"
    if response.status_code in TEMPORARY:
        raise _InterruptedError(reason)
    raise FetchError(f"{part.stem} from {url}: {reason}. {fix}")


def _write(response: Any, part: Path, start: int, num_bytes: int, progress: Progress, task: Any) -> None:
    with part.open("r+b" if start else "wb") as file:
        file.seek(start)
        progress.update(task, completed=start)
        for chunk in response.raw.stream(CHUNK_BYTES, decode_content=False):
            file.write(chunk)
            progress.update(task, completed=file.tell())
            if file.tell() > num_bytes:
                break  # not the published file: the caller's check of the size says so
        file.truncate()


def _progress(console: Console) -> Progress:
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, transient=True)


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _root_cause(error: BaseException) -> str:
    """Return the innermost reason: requests wraps a refused connection four times over."""
    text = str(error)
    inner = re.search(r"\[Errno -?\d+\] ([^'\")]+)", text)
    return inner[1] if inner else text
