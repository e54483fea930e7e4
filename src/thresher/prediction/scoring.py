"""Pieces of new data, answered: encoded, run in batches and put into tables, several at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

import numpy as np

from thresher.modalities.decision import choose_classes
from thresher.modalities.service import service_of
from thresher.prediction.inputs import Input, Made
from thresher.prediction.piece import MAX_ROWS, Piece, Rejected
from thresher.serving.core.bundle import PROFILE_FILE, Bundle
from thresher.serving.core.cpu import available_cores, session_threads
from thresher.serving.core.predictions import not_finite
from thresher.serving.core.session import open_session
from thresher.serving.explain.explanation import cut_copies
from thresher.serving.monitoring.profile import Profile

TRUTH, ABOUT = "truth", b"thresher"
"""A column of a part that no output has, and what is said of a part beside its table."""
PROBABILITY = "probability_"
ENCODED_BYTES = 32 * 2**20
FEW_ROWS, EXPLAINED_ROWS = 2048, 256
"""Samples of a piece, where each takes longer than a row does, and where each is explained."""
WATCHED = 2048
"""Samples of a piece in which drift is looked for, evenly spaced."""


class Scorer:
    """Answers pieces with the model of one bundle; for several threads at once.

    Args:
        explain: whether each answer gets the importance of its sample's parts.
    """

    def __init__(self, bundle: Bundle, given: Input, explain: bool) -> None:
        self._bundle, self._input, self._explain = bundle, given, explain
        self._encoder, self._service, self._rule = bundle.encoder, service_of(bundle.encoder), bundle.info.decision
        self.threads = session_threads(bundle.info.threads, 1)
        # ONNX Runtime lets several threads run one session, each in memory of its own.
        self._session = open_session(bundle, self.threads)
        content = bundle.attachments.get(PROFILE_FILE)
        self.profile = Profile.model_validate_json(content) if content else None

    @property
    def max_rows(self) -> int:
        """The most samples of a piece."""
        if self._explain:
            return EXPLAINED_ROWS
        most = MAX_ROWS if str(self._encoder.kind) == "tabular" else FEW_ROWS
        return max(1, min(most, ENCODED_BYTES // self._encoder.model_input.sample_bytes))

    def score(self, piece: Piece) -> Any:
        """Return the answers to a piece as an Arrow table, with all else that is known of it."""
        content = piece.parse()
        made = self._input.make(content)
        outputs = self._answer(made.samples)
        rejected, good = list(made.rejected), np.isfinite(outputs).all(axis=1)
        if not good.all():
            reason = str(not_finite(outputs, self._encoder)).partition(" to ")[0]
            rejected += [(int(row), f"{reason}: numbers too large") for row in made.rows[~good]]
        columns = self._columns(piece, made, outputs)
        table = _filter(columns, good)
        said = [Rejected(piece.first + row + 1, content.place(row), reason) for row, reason in sorted(rejected)]
        about = {"count": piece.count, "left_out": made.left_out, "rejected": said}
        about |= self._watch(made.samples[good], outputs[good])
        return table.replace_schema_metadata({ABOUT: json.dumps(about)})

    def _answer(self, samples: np.ndarray) -> np.ndarray:
        """Return the outputs of ``samples``, those of like length computed together."""
        size, count = self._bundle.info.max_batch_size, len(samples)
        outputs = np.empty((count, len(self._encoder.class_names) or 1), self._session.output_dtype)
        order = None
        if None in self._encoder.model_input.shape:
            order = np.argsort(self._encoder.model_input.lengths(samples), kind="stable")
        for start in range(0, count, size):
            places = slice(start, start + size) if order is None else order[start : start + size]
            outputs[places] = self._session.run(samples[places])
        return outputs

    def _columns(self, piece: Piece, made: Made, outputs: np.ndarray) -> dict[str, Any]:
        import pyarrow as pa

        numbers = pa.array(piece.first + 1 + made.rows)
        columns: dict[str, Any] = {"id": numbers if made.ids is None else made.ids}
        names = self._encoder.class_names
        if names:
            columns["label"] = pa.array(names, pa.string()).take(pa.array(choose_classes(outputs, self._rule)))
            columns |= {f"{PROBABILITY}{name}": pa.array(outputs[:, place]) for place, name in enumerate(names)}
        else:
            columns["value"] = pa.array(outputs[:, 0])
        columns["model_version"] = pa.repeat(pa.scalar(self._bundle.info.model_version), len(outputs))
        if self._explain:
            told = [self._explain_one(made, outputs, place) for place in range(len(outputs))]
            columns["explanation"] = pa.array(told, pa.string())
        if made.truth is not None:
            columns[TRUTH] = pa.array(made.truth)
        return columns

    def _explain_one(self, made: Made, outputs: np.ndarray, place: int) -> str:
        """Return the importance of the parts of one sample for its answer, in JSON, as `/explain` tells it."""
        one = outputs[place : place + 1]
        target = int(choose_classes(one, self._rule)[0]) if self._encoder.class_names else 0
        occlusion = self._service.occlude(made.samples[place : place + 1], made.raw(place))
        pieces = cut_copies(occlusion, self._encoder, self._bundle.info.max_batch_size)
        answers = np.concatenate([self._session.run(copies)[:, target] for copies in pieces])
        return json.dumps(occlusion.tell(outputs[place, target].astype(np.float64) - answers))

    def _watch(self, samples: np.ndarray, outputs: np.ndarray) -> dict[str, Any]:
        """Return how the samples and answers fall into the bins of the training split."""
        if self.profile is None or not len(samples):
            return {}
        chosen = np.unique(np.linspace(0, len(samples) - 1, WATCHED).astype(np.int64))
        found = self._service.features(samples[chosen]).values()
        answers = choose_classes(outputs, self._rule) if self._encoder.class_names else outputs[:, 0]
        histograms = zip(self.profile.features, found, strict=True)
        return {
            "features": [histogram.count(values).tolist() for histogram, values in histograms],
            "prediction": self.profile.prediction.count(answers.astype(np.float64)).tolist(),
        }


def score_all(
    pieces: Iterable[Piece], scorer: Scorer, keep: Callable[[Piece, Any], None], told: Callable[[Piece], None]
) -> None:
    """Answer all ``pieces``, as many at a time as there are cores.

    Args:
        keep: is called with each and its table, in the thread that made it.
        told: is called with each once it is kept, in this thread.
    """
    workers = max(1, available_cores() // scorer.threads)
    waiting: dict[Future[None], Piece] = {}

    def gather(most: int) -> None:
        while len(waiting) > most:
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                future.result()
                told(waiting.pop(future))

    with ThreadPoolExecutor(workers, thread_name_prefix="scoring") as pool:
        try:
            for piece in pieces:
                waiting[pool.submit(lambda own=piece: keep(own, scorer.score(own)))] = piece  # type: ignore[misc]
                gather(2 * workers)
            gather(0)
        finally:
            pool.shutdown(cancel_futures=True)


def _filter(columns: dict[str, Any], good: np.ndarray) -> Any:
    import pyarrow as pa

    table = pa.table(columns)
    return table if good.all() else table.filter(pa.array(good))
