"""Mixed clients on all ports of a service for a long time: is an answer lost, does one get another's, does memory grow?

Clients send JSON and binary tensors over HTTP (both ports, whole, or in pieces with pauses) and gRPC, from 1 KB to
2 MB; some give up their calls or hang up. Each answer is compared with what ONNX Runtime says of the very images that
were sent. Starts and ends its own service. Prints a report, and ends with 1 where something was lost or mixed up, or
where memory grew.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import grpc
import httpx
import numpy as np
import psutil
import tritonclient.grpc.aio as triton_grpc
import tritonclient.http.aio as triton_http
from serving import make_bento, process
from tritonclient.grpc import service_pb2
from tritonclient.utils import InferenceServerException

MODEL = "lenet"
POOL, IMAGE_BYTES = 2700, 784
COUNTS = (1, 1, 1, 2, 16, 83, 84, 191, 765, 1337, 1338, 2674)
"""Images in a request: 1 KB, just below and above 64 KiB, 150 KB, 600 KB, 1 MiB, 2 MB; most are small."""
TOLERANCE = 1e-5
REFUSED = {"503", "504", "StatusCode.RESOURCE_EXHAUSTED"}
"""504: the time was up before the request's turn came, which a slow machine makes of the 503 of a fast one."""
SECONDS_OF_ONE = 60.0
GROWTH, SLACK_BYTES = 1.25, 64 * 2**20
"""Memory grew where the last third of the time shows more than so many times the first third, and so many bytes."""


@dataclass
class Soak:
    """What is known of the images, and what became of the requests."""

    images: np.ndarray
    expected: np.ndarray
    own_port: int
    ends: dict[str, Counter[str]] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)
    memory: list[tuple[float, int]] = field(default_factory=list)
    """Seconds since the start, and the bytes of all processes of the service."""

    def draw(self, dice: random.Random, most: int = COUNTS[-1]) -> slice:
        """Return the images of one request."""
        count = min(most, dice.choice(COUNTS))
        first = dice.randrange(POOL - count + 1)
        return slice(first, first + count)

    def judge(self, sent: slice, answer: np.ndarray) -> str:
        """Return whether ``answer`` [N, K] is that to what was sent."""
        expected = self.expected[sent]
        is_own = answer.shape == expected.shape and np.allclose(answer, expected, rtol=0, atol=TOLERANCE)
        return "own" if is_own else "mixed up"


Client = Callable[[Soak, random.Random], Awaitable[str]]


def url(soak: Soak, dice: random.Random, path: str) -> str:
    """Return ``path`` on one of the HTTP ports."""
    return f"http://127.0.0.1:{soak.own_port + dice.choice((0, 2))}{path}"


async def rest(soak: Soak, dice: random.Random) -> str:
    """Send pixels as JSON to `/predict`."""
    sent = soak.draw(dice, 191)
    body = {"images": soak.images[sent, 0].tolist()}
    async with httpx.AsyncClient(timeout=SECONDS_OF_ONE) as client:
        answer = await client.post(url(soak, dice, "/predict"), json=body)
    if answer.status_code != 200:
        return str(answer.status_code)
    rows = [list(one["probabilities"].values()) for one in answer.json()["predictions"]]
    return soak.judge(sent, np.array(rows))


async def v2_json(soak: Soak, dice: random.Random) -> str:
    """Send a tensor as JSON."""
    sent, name = soak.draw(dice, 191), str(dice.random())
    images = soak.images[sent]
    tensor = {"name": "image", "datatype": "UINT8", "shape": images.shape, "data": images.reshape(-1).tolist()}
    async with httpx.AsyncClient(timeout=SECONDS_OF_ONE) as client:
        answer = await client.post(url(soak, dice, f"/v2/models/{MODEL}/infer"), json={"id": name, "inputs": [tensor]})
    if answer.status_code != 200:
        return str(answer.status_code)
    document = answer.json()
    (output,) = document["outputs"]
    rows = np.array(output["data"]).reshape(output["shape"])
    return soak.judge(sent, rows) if document["id"] == name else "mixed up"


async def v2_binary(soak: Soak, dice: random.Random) -> str:
    """Let tritonclient send a binary tensor over HTTP."""
    sent = soak.draw(dice)
    images = np.ascontiguousarray(soak.images[sent])
    tensor = triton_http.InferInput("image", list(images.shape), "UINT8")
    tensor.set_data_from_numpy(images)
    address = url(soak, dice, "").removeprefix("http://")
    async with triton_http.InferenceServerClient(address, conn_timeout=SECONDS_OF_ONE) as client:
        answer = await client.infer(MODEL, [tensor])
    return soak.judge(sent, answer.as_numpy("probabilities"))


async def pieces(soak: Soak, dice: random.Random) -> str:
    """Send a binary tensor in pieces with pauses; now and then hang up before the end."""
    sent = soak.draw(dice)
    reader, writer = await asyncio.open_connection("127.0.0.1", soak.own_port + dice.choice((0, 2)))
    try:
        body = head_and_body(soak.images[sent])
        hangs_up = dice.random() < 0.2
        places = sorted(dice.sample(range(1, len(body)), 5))
        for start, end in zip([0, *places], [*places, len(body)], strict=True):
            writer.write(body[start:end])
            await writer.drain()
            await asyncio.sleep(dice.choice((0, 0.001, 0.05)))
            if hangs_up and end > len(body) // 2:
                return "hung up"
        return await read_binary(reader, soak, sent)
    finally:
        writer.close()


def head_and_body(images: np.ndarray) -> bytes:
    """Return a request of the binary extension, as it goes over the wire."""
    tensor = {"name": "image", "datatype": "UINT8", "shape": images.shape}
    tensor["parameters"] = {"binary_data_size": images.nbytes}
    outputs = [{"name": "probabilities", "parameters": {"binary_data": True}}]
    document = json.dumps({"inputs": [tensor], "outputs": outputs}).encode()
    head = (
        f"POST /v2/models/{MODEL}/infer HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\n"
        f"Inference-Header-Content-Length: {len(document)}\r\nContent-Length: {len(document) + images.nbytes}\r\n\r\n"
    )
    return head.encode() + document + images.tobytes()


async def read_binary(reader: asyncio.StreamReader, soak: Soak, sent: slice) -> str:
    """Return what became of a request of the binary extension."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
    fields = dict(line.split(": ", 1) for line in head[1:] if line)
    content = await reader.readexactly(int(fields["content-length"]))
    status = head[0].split()[1]
    if status != "200":
        return status
    values = content[int(fields["inference-header-content-length"]) :]
    return soak.judge(sent, np.frombuffer(values, np.float32).reshape(sent.stop - sent.start, -1))


class Grpc:
    """Calls on a few connections that last."""

    def __init__(self, port: int) -> None:
        self._clients = [triton_grpc.InferenceServerClient(f"127.0.0.1:{port}") for _ in range(3)]

    async def call(self, soak: Soak, dice: random.Random) -> str:
        """Let tritonclient send a tensor."""
        sent, name = soak.draw(dice), str(dice.random())
        images = np.ascontiguousarray(soak.images[sent])
        tensor = triton_grpc.InferInput("image", list(images.shape), "UINT8")
        tensor.set_data_from_numpy(images)
        client = dice.choice(self._clients)
        answer = await client.infer(MODEL, [tensor], request_id=name, client_timeout=SECONDS_OF_ONE)
        return soak.judge(sent, answer.as_numpy("probabilities")) if answer.get_response().id == name else "mixed up"

    async def cancel(self, soak: Soak, dice: random.Random) -> str:
        """Give a call up on its way."""
        sent = soak.draw(dice)
        request = service_pb2.ModelInferRequest(model_name=MODEL)
        request.inputs.add(name="image", datatype="UINT8", shape=soak.images[sent].shape)
        request.raw_input_contents.append(soak.images[sent].tobytes())
        doomed = dice.choice(self._clients)._client_stub.ModelInfer(request)
        await asyncio.sleep(dice.choice((0, 0.001, 0.01)))
        doomed.cancel()
        try:
            await doomed
        except asyncio.CancelledError:
            return "hung up"
        except grpc.aio.AioRpcError as error:
            # grpc.aio raises this in place of CancelledError where the status came before the task was woken.
            return "hung up" if error.code() is grpc.StatusCode.CANCELLED else str(error.code())
        return "hung up"

    async def close(self) -> None:
        """Hang up."""
        for client in self._clients:
            await client.close()


async def repeat(name: str, client: Client, soak: Soak, dice: random.Random, until: float) -> None:
    """Send one request after another, and count what becomes of them."""
    ends = soak.ends.setdefault(name, Counter())
    while time.monotonic() < until:
        try:
            async with asyncio.timeout(SECONDS_OF_ONE):
                end = await client(soak, dice)
        except InferenceServerException as error:
            end = str(error.status())
        except (OSError, EOFError, TimeoutError, httpx.TransportError) as error:
            end = type(error).__name__
        if end not in ("own", "mixed up", "hung up"):
            soak.errors[f"{name}: {end}"] += 1
            end = "refused" if end in REFUSED else "lost"
        ends[end] += 1


async def watch(soak: Soak, root: psutil.Process, seconds: float) -> None:
    """Note the memory of the service once a second, and say how it goes ten times."""
    start, said = time.monotonic(), 0.0
    while (now := time.monotonic() - start) < seconds:
        processes = [root, *root.children(recursive=True)]
        soak.memory.append((now, sum(one.memory_info().rss for one in processes)))
        if now >= said:
            said += seconds / 10
            total: Counter[str] = sum(soak.ends.values(), Counter())
            print(f"{now:.0f} s: {soak.memory[-1][1] / 2**20:.0f} MiB, {dict(total)}", file=sys.stderr, flush=True)
        await asyncio.sleep(1)


def wait_until_ready(port: int) -> None:
    """Wait until all three ports answer."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            if all(httpx.get(f"http://127.0.0.1:{one}/readyz").status_code == 200 for one in (port, port + 2)):
                socket.create_connection(("127.0.0.1", port + 1), 1).close()
                return
        except (OSError, httpx.TransportError):
            pass
        time.sleep(0.2)
    sys.exit("The service is not ready.")


async def run(soak: Soak, root: psutil.Process, seconds: float, clients: int) -> None:
    """Let ``clients`` of each kind work for ``seconds``."""
    calls = Grpc(soak.own_port + 1)
    kinds: dict[str, Client] = {"REST": rest, "v2 JSON": v2_json, "v2 binary": v2_binary, "in pieces": pieces}
    kinds |= {"gRPC": calls.call, "gRPC, given up": calls.cancel}
    until = time.monotonic() + seconds
    work = [
        repeat(name, client, soak, random.Random(f"{name} {number}"), until)
        for name, client in kinds.items()
        for number in range(clients)
    ]
    await asyncio.gather(watch(soak, root, seconds), *work)
    await calls.close()


def report(soak: Soak) -> bool:
    """Print what became of all requests, and return whether all is well."""
    names = ("own", "hung up", "refused", "lost", "mixed up")
    print("| | own answer | given up | refused | lost | mixed up |\n|---|---:|---:|---:|---:|---:|")
    for kind, ends in soak.ends.items():
        print(f"| {kind} | " + " | ".join(f"{ends[name]:,}" for name in names) + " |")
    total: Counter[str] = sum(soak.ends.values(), Counter())
    for error, count in soak.errors.most_common():
        print(f"{count} x {error}")
    third = max(1, len(soak.memory) // 3)
    first, last = (median(size for _, size in part) for part in (soak.memory[:third], soak.memory[-third:]))
    peak = max(size for _, size in soak.memory)
    print(f"memory: {first / 2**20:.0f} MiB at first, {last / 2**20:.0f} at the end, {peak / 2**20:.0f} at most")
    grew = last > GROWTH * first + SLACK_BYTES
    return bool(total["own"]) and not total["lost"] and not total["mixed up"] and not grew


def load_images(onnx_file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return images [N, 1, 28, 28] and what the model says of them [N, K]; no two have the same answer."""
    import onnxruntime

    generator = np.random.default_rng(1)
    images = generator.integers(0, 256, (POOL, 1, 28, 28)) * generator.random((POOL, 1, 28, 1)) ** 2
    images = np.concatenate([images[:, :, :14] * generator.random((POOL, 1, 1, 1)), images[:, :, 14:]], axis=2)
    images = images.astype(np.uint8)
    session = onnxruntime.InferenceSession(onnx_file)
    outputs = np.concatenate([session.run(None, {"image": image[None]})[0] for image in images])
    assert len(np.unique(np.round(outputs, 5), axis=0)) > 0.99 * POOL
    return images, outputs


def main() -> None:
    """Start, soak, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--clients", type=int, default=2, help="of each kind, at a time")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--port", type=int, default=23000, help="the first of three")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / MODEL
        images, expected = load_images(make_bento(MODEL, folder))
        soak = Soak(images, expected, arguments.port)
        command = [sys.executable, "-m", "bentoml", "serve", f"{MODEL}:latest", "--host", "127.0.0.1"]
        command += ["--port", str(arguments.port)]
        with process(command, arguments.port, folder, THRESHER_WORKERS=str(arguments.workers)):
            (root,) = [one for one in psutil.Process().children() if "bentoml" in one.cmdline()]
            wait_until_ready(arguments.port)
            asyncio.run(run(soak, root, 60 * arguments.minutes, arguments.clients))
        if not report(soak):
            sys.exit(1)


if __name__ == "__main__":
    main()
