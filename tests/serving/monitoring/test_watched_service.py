"""A served Bento with two workers, as Prometheus, its log and a collector of traces see it."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tiny_bento import build, free_ports, serve, store_bundle
from tiny_grpc import PREFIX, raw_request, triton
from tiny_service import make_info

from thresher.modalities.image.encoder import ImageEncoder
from thresher.serving.core.bundle import PROFILE_FILE, Bundle, write_bundle
from thresher.serving.monitoring.challenger import Challenger, write_challenger
from thresher.serving.monitoring.drift import FEWEST, SAMPLES_PER_SECOND
from thresher.serving.monitoring.logs import ACCESS_LOG
from thresher.serving.monitoring.profile import make_profile
from thresher.serving.monitoring.tracing import TRACES
from thresher.serving.sockets import GRPC_PORT, HTTP_PORT

PROJECT = Path(__file__).parents[3]

pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]

IMAGES = np.random.default_rng(7).integers(0, 256, (300, 1, 8, 6), np.uint8)
LABELS = np.arange(300) % 3
MARKER = "4711-the-payload"
SENT = {("rest", "ok"): 60, ("rest", "invalid"): 5, ("v2_rest", "ok"): 40, ("grpc", "ok"): 30, ("grpc", "invalid"): 5}
DEPLOY = PROJECT / "deploy"


@dataclass(frozen=True)
class Served:
    """A service and where it listens."""

    client: httpx.Client
    http: int
    rpc: int
    log: Path

    def workers(self) -> set[int]:
        """The processes of its workers, once each listens."""
        connections = psutil.net_connections("tcp")
        return {
            one.pid
            for one in connections
            if one.status == psutil.CONN_LISTEN and one.laddr.port == self.http and one.pid is not None
        }

    def sums(self, name: str, *labels: str) -> dict[tuple[str, ...], float]:
        """The samples of ``name`` by ``labels``, those that are not 0."""
        found: dict[tuple[str, ...], float] = {}
        for family in text_string_to_metric_families(self.client.get("/metrics").text):
            for sample in family.samples:
                if sample.name == name and sample.value:
                    key = tuple(sample.labels[label] for label in labels)
                    found[key] = found.get(key, 0.0) + sample.value
        return found

    def requests(self) -> dict[tuple[str, ...], float]:
        return self.sums("thresher_requests_total", "protocol", "outcome")


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture(scope="module")
def served(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("bundle")
    profile = {PROFILE_FILE: make_profile(bundle.encoder, IMAGES, LABELS).model_dump_json().encode()}
    write_bundle(folder, bundle.onnx_bytes, bundle.encoder, make_info(), profile)
    write_challenger(folder, Challenger(replace(bundle, info=make_info(model_version="8")), share=0.5))
    http, rpc = free_ports(2)
    environment = {HTTP_PORT: str(http), GRPC_PORT: str(rpc), "THRESHER_WORKERS": "2", ACCESS_LOG: "1", TRACES: "1"}
    place = tmp_path_factory.mktemp("serve")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENTOML_HOME", str(tmp_path_factory.mktemp("bentoml")))
        store_bundle(folder)
        with serve(build("shapes"), ImageEncoder.REQUIREMENTS, place, **environment) as client:
            served = Served(client, http, rpc, place / "log")
            until(lambda: len(served.workers()) == 2)
            yield served


@pytest.fixture(scope="module")
def sent(served: Served) -> Served:
    """The service after `SENT`, every few requests on a connection of their own: both workers get some."""

    def post(number: int, path: str, document: dict[str, Any], status: int) -> None:
        base = served.client.base_url if number % 2 else f"http://127.0.0.1:{served.http}"
        answer = httpx.post(f"{base}{path}", json=document)
        assert answer.status_code == status, answer.text

    for number in range(SENT["rest", "ok"]):
        post(number, "/predict", {"image": IMAGES[number, 0].tolist()}, 200)
    for number in range(SENT["rest", "invalid"]):
        post(number, "/predict", {"image": MARKER}, 422)
    for number in range(SENT["v2_rest", "ok"]):
        tensor = {"name": "image", "datatype": "UINT8", "shape": [1, 1, 8, 6], "data": IMAGES[number].ravel().tolist()}
        post(number, "/v2/models/shapes/infer", {"inputs": [tensor]}, 200)
    for number in range(SENT["grpc", "ok"]):
        call(served, raw_request(IMAGES[number : number + 2]).SerializeToString())
    for _ in range(SENT["grpc", "invalid"]):
        with pytest.raises(grpc.RpcError, match="INVALID_ARGUMENT"):
            call(served, raw_request(IMAGES[:1], name=MARKER).SerializeToString())
    return served


def call(served: Served, content: bytes) -> None:
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(f"127.0.0.1:{served.rpc}", options) as channel:
        method = channel.unary_unary(PREFIX + "ModelInfer", None, triton.ModelInferResponse.FromString)
        assert method(content, timeout=20).model_name == "shapes"


def send_until_drift_is_known(served: Served) -> None:
    """Send all images again and again: drift is said of a few hundred samples a worker, some of each second's."""

    def post_all() -> bool:
        images = {"images": IMAGES[:, 0].tolist()}
        for _ in range(4):
            httpx.post(f"http://127.0.0.1:{served.http}/predict", json=images).raise_for_status()
        return bool(served.sums("thresher_input_drift_psi"))

    until(post_all)


def test_the_counts_of_both_workers_add_up_to_what_was_sent(sent: Served) -> None:
    """The worker that is asked writes its own at once, the other within a second."""
    until(lambda: sent.requests() == SENT)
    num_samples = sum(SENT[protocol, "ok"] for protocol in ("rest", "v2_rest")) + 2 * SENT["grpc", "ok"]
    for name in ("thresher_predictions_total", "thresher_batch_size_sum"):
        assert sum(sent.sums(name).values()) == num_samples, name
    seconds = sent.sums("thresher_request_seconds_count", "protocol")
    assert seconds == {(protocol,): count for (protocol, outcome), count in SENT.items() if outcome == "ok"}


def test_every_metric_of_the_dashboard_and_the_alerts_is_scraped(sent: Served) -> None:
    send_until_drift_is_known(sent)
    scraped = set()
    for family in text_string_to_metric_families(sent.client.get("/metrics").text):
        scraped |= {sample.name for sample in family.samples}
    panels = json.loads((DEPLOY / "grafana" / "dashboards" / "thresher.json").read_text())["panels"]
    asked = [target["expr"] for panel in panels for target in panel["targets"]]
    asked.append((DEPLOY / "prometheus" / "alerts.yml").read_text())
    names = set(re.findall(r"\bthresher_\w+", " ".join(asked)))
    assert {"thresher_requests_total", "thresher_input_drift_psi", "thresher_shadow_agreements_total"} <= names
    assert names <= scraped


def test_the_inputs_of_training_have_not_drifted(sent: Served) -> None:
    """They are the very samples that the profile was made of."""
    send_until_drift_is_known(sent)
    drift = sent.sums("thresher_input_drift_psi", "feature")
    assert drift.keys() == {("brightness",), ("contrast",)}
    assert max(drift.values()) < 0.25
    assert sum(sent.sums("thresher_input_drift_samples").values()) >= FEWEST > SAMPLES_PER_SECOND


def test_the_log_has_a_line_of_json_for_each_and_nothing_of_what_was_sent(sent: Served) -> None:
    text = sent.log.read_text()
    assert MARKER not in text
    lines = [json.loads(line) for line in text.splitlines() if line.startswith('{"time"')]
    counts: dict[tuple[str, str], int] = {}
    for line in lines:
        if line["event"] == "request":
            outcome = "ok" if line["status"] in (200, "OK") else "invalid"
            key = line["protocol"], outcome
            counts[key] = counts.get(key, 0) + 1
            assert line["request_id"]
            assert line["milliseconds"] > 0
    del counts["rest", "ok"]  # the tests before sent more of them
    assert counts == {key: count for key, count in SENT.items() if key != ("rest", "ok")}
    assert len([line for line in lines if "traced" in line["event"]]) == 2  # or why it cannot be: one a worker


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_what_a_worker_has_counted_outlives_it_and_what_it_said_of_the_present_does_not(
    sent: Served, how: signal.Signals
) -> None:
    time.sleep(1.5)  # each worker writes every second what it has counted
    before, workers = sent.requests(), sent.workers()
    for worker in workers:
        if how is signal.SIGTERM:
            call(sent, raw_request(IMAGES[:1]).SerializeToString())
            before["grpc", "ok"] += 1
        else:
            time.sleep(1.5)  # it writes every second
        psutil.Process(worker).send_signal(how)
        until(lambda worker=worker: not psutil.pid_exists(worker) and len(sent.workers()) == 2)
    assert not workers & sent.workers()
    assert sent.requests() == before
    assert not sent.sums("thresher_input_drift_psi")
