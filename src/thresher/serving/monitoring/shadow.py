"""The shadow: the challenger gets a share of the answered samples, and its answers are compared with the champion's."""

from __future__ import annotations

import json
import logging
import os
import queue
import random
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import thresher
from thresher.modalities.decision import choose_classes
from thresher.modalities.outputs import ValueOutput
from thresher.serving.core.bundle import Bundle
from thresher.serving.monitoring.challenger import FOLDER, Challenger, read_challenger
from thresher.serving.monitoring.shadow_process import from_bytes, to_bytes

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

MAX_WAITING = 64
"""The groups of samples that may wait for the challenger; further ones are dropped."""
MAX_TAKE_BYTES = 256 * 2**10
"""The most bytes of samples that are copied at once, so that copying takes microseconds. One sample is copied whatever
its size."""
SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
SECONDS_A_WARNING = 60.0
"""The seconds between two warnings: a challenger may fail at every call; each is counted."""
END_SECONDS = 5.0

Item = tuple[np.ndarray, np.ndarray]
log = logging.getLogger(__name__)


def open_shadow(folder: Path, champion: Bundle, registry: CollectorRegistry | None = None) -> Shadow | None:
    """Return the shadow of the ``champion`` in ``folder``; None where its bundle has no challenger.

    A challenger that cannot be read or started leaves the champion alone; the log says why.
    """
    try:
        challenger = read_challenger(folder)
        return Shadow(folder / FOLDER, champion, challenger, registry) if challenger else None
    except Exception:
        log.exception("The challenger in %s cannot be started. The champion is served without it.", folder / FOLDER)
        return None


class Shadow:
    """Gives a share of the answered samples to the challenger, in a process of its own and of low priority.

    What the challenger is too slow for is dropped. Where it fails or its process ends, this is counted and logged, and
    the champion does not notice.

    Args:
        folder: with the challenger's bundle.
        registry: where the metrics go, as for `Predictor`.
    """

    def __init__(
        self, folder: Path, champion: Bundle, challenger: Challenger, registry: CollectorRegistry | None = None
    ) -> None:
        self._share = challenger.share
        self._metrics = ShadowMetrics(champion, challenger.bundle, registry)
        sample_bytes = champion.encoder.model_input.sample_bytes
        self._max_samples = max(1, MAX_TAKE_BYTES // sample_bytes)
        self._random, self._generator = random.Random(), np.random.default_rng()
        self._waiting: queue.Queue[Item | None] = queue.Queue(MAX_WAITING)
        self._is_open, self._next_warning = True, 0.0
        self._connection, self._process = _start(folder)
        self._thread = threading.Thread(target=self._work, name="shadow", daemon=True)
        self._thread.start()

    @property
    def process_id(self) -> int:
        """The id of the challenger's process."""
        return self._process.pid

    @property
    def num_waiting(self) -> int:
        """The groups of samples that wait for the challenger."""
        return self._waiting.qsize()

    def observe(self, samples: np.ndarray, outputs: np.ndarray) -> None:
        """Take a share of ``samples`` [N, ...], which the champion answered by ``outputs`` [N, K]; never waits.

        What is taken is copied: both arrays may be written to afterwards.
        """
        chosen = self._choose(len(samples))
        if not len(chosen):
            return
        if not self._is_open or self._waiting.full():
            self._metrics.dropped.inc(len(chosen))
            return
        taken, left = chosen[: self._max_samples], len(chosen) - self._max_samples
        if left > 0:
            self._metrics.dropped.inc(left)
        try:
            self._waiting.put_nowait((samples[taken], outputs[taken]))
        except queue.Full:  # since it was looked at, by another thread
            self._metrics.dropped.inc(len(taken))

    def close(self) -> None:
        """End the challenger's process; what waits is not compared any more."""
        self._is_open = False
        self._process.kill()
        with suppress(queue.Full):  # then the thread finds its process gone
            self._waiting.put_nowait(None)
        self._thread.join(END_SECONDS)

    def _choose(self, count: int) -> list[int] | np.ndarray:
        if count == 1:  # most often, and a tenth of what numpy would take
            return [0] if self._random.random() < self._share else []
        return np.flatnonzero(self._generator.random(count) < self._share)

    def _work(self) -> None:
        try:
            while self._is_open and (item := self._waiting.get()) is not None:
                self._compare(*item)
        except (EOFError, OSError):
            if self._is_open:
                self._metrics.errors.inc()
                log.error("The challenger's process has ended. The champion is served without it.")
        finally:
            self._is_open = False
            self._connection.close()
            self._process.wait()

    def _compare(self, samples: np.ndarray, expected: np.ndarray) -> None:
        self._connection.send_bytes(to_bytes(samples))
        said = json.loads(self._connection.recv_bytes())
        error = said.get("error", "")
        outputs = expected[:0] if error else from_bytes(self._connection.recv_bytes())
        known = np.isfinite(expected).all(axis=1)  # to the others the champion has no answer either
        if not error and not np.isfinite(outputs[known]).all():
            error = "it has no finite answer"
        if error:
            self._fail(error)
            return
        self._metrics.count(expected[known], outputs[known], said["seconds"])

    def _fail(self, error: str) -> None:
        self._metrics.errors.inc()
        if time.monotonic() >= self._next_warning:
            self._next_warning = time.monotonic() + SECONDS_A_WARNING
            log.warning("The challenger failed: %s", error)


class ShadowMetrics:
    """What a challenger answers, how fast, and how far it agrees with the champion."""

    def __init__(self, champion: Bundle, challenger: Bundle, registry: CollectorRegistry | None = None) -> None:
        from prometheus_client import REGISTRY, Counter, Histogram, Summary  # see Metrics

        names = ["recipe", "model_version", "challenger_version"]
        who = (champion.info.recipe, champion.info.model_version, challenger.info.model_version)
        registry = registry or REGISTRY

        def metric(kind: Any, name: str, text: str, *more: str, **options: Any) -> Any:
            return kind(name, text, [*names, *more], registry=registry, **options)

        self._is_classifier = bool(champion.encoder.class_names)
        self._rules = champion.info.decision, challenger.info.decision
        labels = champion.encoder.class_names or (ValueOutput.name,)
        compared = metric(
            Counter, "thresher_shadow_compared", "Samples that both answered, by the champion's label.", "label"
        )
        agreements = metric(Counter, "thresher_shadow_agreements", "Of these, those with the same label.", "label")
        predictions = metric(
            Counter, "thresher_shadow_predictions", "The same samples by the challenger's label.", "label"
        )
        self._compared = [compared.labels(*who, label) for label in labels]
        self._agreements = [agreements.labels(*who, label) for label in labels if self._is_classifier]
        self._predictions = [predictions.labels(*who, label) for label in labels]
        text = "Absolute difference between both values, or both probabilities of the champion's label, summed."
        self._difference = metric(Summary, "thresher_shadow_difference", text).labels(*who)
        self._seconds = metric(
            Histogram, "thresher_shadow_seconds", "One call of the challenger.", buckets=SECONDS
        ).labels(*who)
        self._samples = metric(Summary, "thresher_shadow_samples", "Samples in one call of the challenger.").labels(
            *who
        )
        text = "Samples of its share that the challenger was too busy for."
        self.dropped = metric(Counter, "thresher_shadow_dropped", text).labels(*who)
        text = "Calls that the challenger failed in, its own end among them."
        self.errors = metric(Counter, "thresher_shadow_errors", text).labels(*who)

    def count(self, expected: np.ndarray, outputs: np.ndarray, seconds: float) -> None:
        """Count one call: the champion's outputs [N, K], finite, and the challenger's."""
        rows = np.arange(len(expected))
        ours, theirs = map(choose_classes, (expected, outputs), self._rules)
        for index, label in enumerate(ours.tolist()):
            self._compared[label].inc()
            if self._is_classifier and label == theirs[index]:
                self._agreements[label].inc()
            self._predictions[int(theirs[index])].inc()
        for difference in np.abs(expected[rows, ours] - outputs[rows, ours]).tolist():
            self._difference.observe(difference)
        self._seconds.observe(seconds)
        self._samples.observe(len(expected))


def _start(folder: Path) -> tuple[Connection, subprocess.Popen[bytes]]:
    """Start the challenger's process; return the connection to it."""
    ours, theirs = socket.socketpair()
    source = str(Path(thresher.__file__).parents[1])  # BentoML has put it on this process's path alone
    paths = [path for path in (source, os.environ.get("PYTHONPATH", "")) if path]
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "thresher.serving.monitoring.shadow_process", str(folder), str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # the terminal's Ctrl-C is the service's to hear
        )
    return Connection(ours.detach()), process
