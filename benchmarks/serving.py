"""Requests a second of the service side by side with what else one could serve the same ONNX file with.

All servers run at the same time and are loaded in turns, by wrk and by an asyncio gRPC client, on this machine; each
has one worker unless its name says more. The networks are untrained, which makes them no faster or slower.
Needs wrk (`apt-get install wrk`). Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import httpx

SERVERS = Path(__file__).parent / "servers"
CONCURRENCY = (1, 8, 64)
CLASSES = tuple("0123456789")
IMAGE = [[7] * 28 for _ in range(28)]
ONE_BY_ONE, BATCHED = "ONNX Runtime in process, one by one", "ONNX Runtime in process, batches of 32"


@dataclass(frozen=True)
class Load:
    """What wrk sends."""

    path: str
    body: bytes
    headers: tuple[tuple[str, str], ...]

    def script(self) -> str:
        """Return it as wrk's Lua."""
        body = "".join(f"\\{byte}" if byte < 100 and not 48 <= byte < 58 else f"\\{byte:03d}" for byte in self.body)
        headers = "\n".join(f'wrk.headers["{name}"] = "{value}"' for name, value in self.headers)
        return f'wrk.method = "POST"\nwrk.path = "{self.path}"\nwrk.body = "{body}"\n{headers}\n'


@dataclass(frozen=True)
class Contestant:
    """A server under a name, and how it is loaded; over gRPC where there is no ``load``."""

    name: str
    port: int
    load: Load | None


@dataclass(frozen=True)
class Result:
    """Of one load: answers a second, the 99th percentile of the latency in ms, and what was no answer."""

    rate: float
    p99: float
    failures: int


def main() -> None:
    """Measure and print one table a model."""
    arguments = parse()
    check_wrk()
    with tempfile.TemporaryDirectory() as home:
        for model in arguments.models.split(","):
            with ExitStack() as stack:
                folder = Path(home) / model
                onnx_file = make_bento(model, folder)
                contestants = start_all(model, folder, onnx_file, stack)
                print_table(model, measure(contestants, onnx_file, folder, arguments), arguments)


def parse() -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="lenet,resnet20", help="of lenet and resnet20, with a comma between")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of each load, a whole number as wrk has it")
    return parser.parse_args()


def make_bento(model: str, folder: Path) -> Path:
    """Build a Bento of an untrained network in a BentoML home beside ``folder`` and return its ONNX file."""
    os.environ["BENTOML_HOME"] = str(folder.parent / "bentoml")  # the same for all models: BentoML keeps the first
    from thresher.export import export_onnx
    from thresher.modalities.image.encoder import ImageEncoder
    from thresher.modalities.outputs import ClassOutput
    from thresher.models.lenet import LeNet
    from thresher.models.network import Network, NetworkSpec
    from thresher.models.resnet.config import Resnet
    from thresher.packaging.bento import build_bento, store_bundle
    from thresher.serving.core.bundle import MODEL_FILE, ModelInfo, write_bundle

    encoder = ImageEncoder(channels=1, mean=(73.0,), std=(90.0,), height=28, width=28, class_names=CLASSES)
    body: Any = LeNet() if model == "lenet" else Resnet(depth=20)
    network = Network(NetworkSpec(model=body, input=encoder.model_input, output=ClassOutput(num_classes=10)))
    where = {"mlflow_run_id": "none", "data_hash": "none", "git_commit": "none", "created": datetime.now(UTC)}
    how = {"threads": 1, "max_batch_size": 64, "max_latency_ms": 50}
    info = ModelInfo.model_validate({"recipe": model, "candidate": "float", "model_version": "1", **where, **how})
    write_bundle(folder / "bundle", export_onnx(network.eval()), encoder, info)
    store_bundle(folder / "bundle")
    build_bento(model, Path(__file__).parents[1])
    return folder / "bundle" / MODEL_FILE


def start_all(model: str, folder: Path, onnx_file: Path, stack: ExitStack) -> list[Contestant]:
    """Start every server and return who takes part."""
    python, ports = sys.executable, iter(range(21000, 22000, 10))
    raw = Load("/raw", bytes([7]) * 784, (("Content-Type", "application/octet-stream"),))
    document = Load("/json", json.dumps({"image": IMAGE}).encode(), (("Content-Type", "application/json"),))
    contestants = []

    def run(script: str, port: int) -> None:
        stack.enter_context(process([python, str(SERVERS / script), str(onnx_file), str(port)], port, folder))

    run("fastapi_server.py", fastapi := next(ports))
    run("asgi_server.py", asgi := next(ports))
    run("grpc_server.py", plain_grpc := next(ports))
    bento = next(ports)
    command = [python, "-m", "bentoml", "serve", "bentoml_service:Plain", "--port", str(bento), "--host", "127.0.0.1"]
    stack.enter_context(process(command, bento, SERVERS, BENCH_MODEL=str(onnx_file)))
    contestants += [
        Contestant("BentoML's own JSON API", bento, Load("/predict", document.body, document.headers)),
        Contestant("FastAPI, JSON", fastapi, document),
        Contestant("FastAPI, raw body", fastapi, raw),
        Contestant("a bare ASGI route under uvicorn, raw", asgi, raw),
        Contestant("grpc.aio, no batcher", plain_grpc, None),
    ]
    for workers in (1, 2):
        port = next(ports)
        command = [python, "-m", "bentoml", "serve", f"{model}:latest", "--port", str(port), "--host", "127.0.0.1"]
        stack.enter_context(process(command, port, folder, THRESHER_WORKERS=str(workers)))
        many = "" if workers == 1 else f", {workers} workers"
        contestants += [
            Contestant(f"Thresher, v2 binary{many}", port + 2, binary_load(model)),
            Contestant(f"Thresher, v2 binary on BentoML's port{many}", port, binary_load(model)),
            Contestant(f"Thresher, JSON{many}", port + 2, Load("/predict", document.body, document.headers)),
            Contestant(f"Thresher, gRPC{many}", port + 1, None),
        ]
    return contestants


def binary_load(model: str, deadline_ms: int | None = None, count: int = 1) -> Load:
    """Return a request of the Open Inference Protocol with ``count`` images, binary both ways."""
    pixels = bytes([7]) * 784 * count
    tensor: dict[str, Any] = {"name": "image", "datatype": "UINT8", "shape": [count, 1, 28, 28]}
    tensor["parameters"] = {"binary_data_size": len(pixels)}
    outputs = [{"name": "probabilities", "parameters": {"binary_data": True}}]
    asked = {"parameters": {"timeout": 1000 * deadline_ms}} if deadline_ms else {}
    head = json.dumps({"inputs": [tensor], "outputs": outputs, **asked}).encode()
    headers = (("Content-Type", "application/octet-stream"), ("Inference-Header-Content-Length", str(len(head))))
    return Load(f"/v2/models/{model}/infer", head + pixels, headers)


@contextmanager
def process(command: list[str], port: int, folder: Path, **environment: str) -> Iterator[None]:
    """Run a server until it answers on ``port``, and end it afterwards."""
    with (Path(tempfile.gettempdir()) / f"serving-{port}.log").open("w") as log:
        running = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **environment}, stdout=log, stderr=log, start_new_session=True
        )
        try:
            wait_for(port, running, log.name)
            yield
        finally:
            os.killpg(running.pid, signal.SIGTERM)
            try:
                running.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(running.pid, signal.SIGKILL)


def wait_for(port: int, running: subprocess.Popen[bytes], log: str) -> None:
    """Wait until something answers on ``port``, in whatever words."""
    import socket

    for _ in range(400):
        if running.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
            continue
        time.sleep(3 if "bentoml" in " ".join(map(str, running.args)) else 0)  # type: ignore[arg-type]
        return
    sys.exit(f"A server did not start; see {log}")


Results = dict[tuple[str, int], list[Result]]


def measure(contestants: list[Contestant], onnx_file: Path, folder: Path, arguments: argparse.Namespace) -> Results:
    """Return the results of every contestant at every concurrency, one a round; the order turns with each round."""
    results: Results = {}
    for contestant in contestants:
        check(contestant)
    for number in range(arguments.rounds):
        for name, batch_size in ((ONE_BY_ONE, 1), (BATCHED, 32)):
            rate = in_process(onnx_file, batch_size, arguments.seconds)
            for concurrency in CONCURRENCY:
                results.setdefault((name, concurrency), []).append(Result(rate, 0.0, 0))
        for contestant in contestants[:: 1 if number % 2 else -1]:
            for concurrency in CONCURRENCY:
                result = load(contestant, concurrency, folder, arguments.seconds)
                results.setdefault((contestant.name, concurrency), []).append(result)
                text = f"round {number + 1}: {contestant.name}, {concurrency} at a time: {result.rate:,.0f}/s"
                print(text, file=sys.stderr, flush=True)
    return results


def check(contestant: Contestant) -> None:
    """Check that a request is answered at all before thousands are sent."""
    if contestant.load is None:
        return
    url = f"http://127.0.0.1:{contestant.port}{contestant.load.path}"
    response = httpx.post(url, content=contestant.load.body, headers=dict(contestant.load.headers))
    if response.status_code != 200:
        sys.exit(f"{contestant.name} answers {response.status_code}: {response.text[:500]}")


def in_process(onnx_file: Path, batch_size: int, seconds: float) -> float:
    """Return the samples a second of ONNX Runtime alone."""
    command = [sys.executable, str(SERVERS / "in_process.py"), str(onnx_file), str(batch_size), str(seconds)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def load(contestant: Contestant, concurrency: int, folder: Path, seconds: int) -> Result:
    """Load a server for a while."""
    if contestant.load is None:
        address = f"127.0.0.1:{contestant.port}"
        model = contestant_model(folder)
        command = [sys.executable, str(SERVERS / "grpc_load.py"), address, model, str(concurrency), str(seconds)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        answer = json.loads(done.stdout)
        return Result(answer["rate"], answer["p99"], answer["failures"])
    return Result(**run_wrk(contestant.load, REPORT, contestant.port, concurrency, folder, seconds))


def check_wrk() -> None:
    """End where wrk is not installed."""
    if shutil.which("wrk") is None:
        sys.exit("wrk is missing. Run: apt-get install wrk")


def run_wrk(load: Load, report: str, port: int, connections: int, folder: Path, seconds: int) -> dict[str, Any]:
    """Send ``load`` to ``port`` for a while, and return the JSON object that ``report``, in Lua, prints at the end."""
    script = folder / "load.lua"
    script.write_text(load.script() + report)
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), "--latency"]
    done = subprocess.run([*command, f"http://127.0.0.1:{port}"], check=True, capture_output=True, text=True)
    answer: dict[str, Any] = json.loads(done.stdout[done.stdout.index("{") :])
    return answer


REPORT = """
done = function(summary, latency, requests)
  local wrong = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout
  local good = summary.requests - summary.errors.status
  io.write(string.format('{"rate": %f, "p99": %f, "failures": %d}\\n', good / summary.duration * 1e6,
    latency:percentile(99) / 1000, wrong))
end
"""


def contestant_model(folder: Path) -> str:
    """Return the name of the model in the bundle."""
    return str(json.loads((folder / "bundle" / "model.json").read_text())["recipe"])


def print_table(model: str, results: Results, arguments: argparse.Namespace) -> None:
    """Print medians and what they are beside ONNX Runtime one by one in the same round."""
    from thresher.machine import describe_machine

    machine = describe_machine()
    print(f"\n{model}: median of {arguments.rounds} rounds of {arguments.seconds:g} s; {machine}\n")
    print("| | " + " | ".join(f"{c} at a time: answers/s (share), p99 ms" for c in CONCURRENCY) + " | failures |")
    print("|---|" + "---:|" * (len(CONCURRENCY) + 1))
    base = [result.rate for result in results[ONE_BY_ONE, 1]]
    for name in dict.fromkeys(name for name, _ in results):
        cells, failures = [], 0
        for concurrency in CONCURRENCY:
            mine = results[name, concurrency]
            share = median(result.rate / alone for result, alone in zip(mine, base, strict=True))
            p99 = f", {median(result.p99 for result in mine):.1f}" if mine[0].p99 else ""
            cells.append(f"{median(result.rate for result in mine):,.0f} ({share:.2f}){p99}")
            failures += sum(result.failures for result in mine)
        print(f"| {name} | {' | '.join(cells)} | {failures} |")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
