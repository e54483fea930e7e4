"""A service in a control group of 256 MiB, as in a container of that size: no client takes it down."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import httpx
import numpy as np
import pytest
from h2.exceptions import FlowControlError
from raw_http2 import GRPC, RawHttp2
from tiny_bento import build, free_ports, serve, store_bundle
from tiny_grpc import PREFIX
from tiny_service import make_info

from thresher.modalities.image.encoder import ImageEncoder
from thresher.serving.core.bundle import Bundle, write_bundle
from thresher.serving.sockets import GRPC_PORT, HTTP_PORT

pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]
MIB = 2**20
MEMORY = 256 * MIB
BLANK = {"image": [[0] * 6] * 8}
JSON = {"Content-Type": "application/json"}
LIMITS = ((Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"), (Path("/sys/fs/cgroup"), "memory.max"))
"""Where control groups of version 1 and of version 2 are made, and what bounds their memory."""


@contextmanager
def control_group() -> Iterator[Path]:
    """Make a control group of MEMORY; skips the test where this process may not."""
    for root, limit in LIMITS:
        folder = root / f"thresher-{uuid4().hex[:8]}"
        try:
            folder.mkdir()
            (folder / limit).write_text(str(MEMORY))
        except OSError:
            if folder.is_dir():
                folder.rmdir()
            continue
        try:
            yield folder
        finally:
            members = folder / "cgroup.procs"
            end = time.monotonic() + 20
            while members.read_text() and time.monotonic() < end:
                time.sleep(0.1)
            folder.rmdir()
        return
    pytest.skip("No control group can be made here.")


async def post_all(url: str, bodies: list[bytes]) -> Counter[int]:
    """Send all bodies at once, each on a connection of its own; return how often each status came, 0 for none."""

    async def post(body: bytes) -> int:
        async with httpx.AsyncClient(timeout=60) as client:
            try:
                return (await client.post(url, content=body, headers=JSON)).status_code
            except httpx.TransportError:
                return 0

    return Counter(await asyncio.gather(*map(post, bodies)))


@pytest.mark.oddity("Service", "80 MB bodies, 60 unfinished messages, 40 large bodies at once, in 256 MiB", "it lives")
def test_a_container_of_256_mib_is_not_taken_down(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "bentoml"))
    write_bundle(tmp_path / "bundle", bundle.onnx_bytes, bundle.encoder, make_info())
    store_bundle(tmp_path / "bundle")
    bento = build("shapes")
    fast, rpc = free_ports(2)
    images = json.dumps({"images": np.full((12_000, 8, 6), 255).tolist()}, separators=(",", ":")).encode()
    lists = b'{"images":[' + b",".join([b"[]"] * (5 * MIB)) + b"]}"
    fewer = b'{"images":[' + b",".join([b"[]"] * (MIB // 4)) + b"]}"  # nearly what may be decoded at a time
    with control_group() as group:
        prefix = ("sh", "-c", f'echo $$ > {group}/cgroup.procs; exec "$@"', "sh")
        ports = {HTTP_PORT: str(fast), GRPC_PORT: str(rpc)}
        with serve(bento, ImageEncoder.REQUIREMENTS, tmp_path, (), prefix, **ports) as client:
            members = {int(line) for line in (group / "cgroup.procs").read_text().split()}
            own, beside = f"{client.base_url}".rstrip("/") + "/predict", f"http://127.0.0.1:{fast}/predict"
            for url in (own, beside):
                for body in (bytes(80 * MIB), b" " * (31 * MIB)):
                    assert set(asyncio.run(post_all(url, [body] * 4))) <= {413, 0}  # cut off, or not read to its end
            for url, body, wanted in ((own, images, 200), (beside, lists, 413), (beside, fewer, 422)):
                said = asyncio.run(post_all(url, [body] * 40))
                assert set(said) <= {wanted, 503, 504} and said[wanted], said
            connections = [RawHttp2(rpc) for _ in range(2)]
            for connection in connections:
                for _ in range(30):
                    with suppress(FlowControlError):  # the service takes nothing more on this connection
                        connection.send_message(
                            connection.begin(PREFIX + "ModelInfer", GRPC), 4 * MIB, 4 * MIB - 1, 0.1
                        )
            for url in (own, beside):
                assert httpx.post(url, json=BLANK, timeout=20).status_code == 200
            for connection in connections:
                connection.close()
            assert members <= {int(line) for line in (group / "cgroup.procs").read_text().split()}, "one was killed"
