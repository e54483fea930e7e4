"""What another machine has measured: proven to be of a folder of ours, and as evaluations."""

from __future__ import annotations

import base64
import binascii
import hmac
import io
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from thresher.candidate_failure import CandidateFailure
from thresher.evaluation import Measurement
from thresher.evaluation.calls import CallTimes
from thresher.evaluation.evaluation import Evaluation
from thresher.evaluation.footprint import Footprint, load_seconds
from thresher.evaluation.latency import Clock, Latency, latency_of_rounds
from thresher.evaluation.own_metrics import measure_own_metrics
from thresher.evaluation.quality import measure_quality
from thresher.evaluation.runtime import CPU
from thresher.files import read_bytes
from thresher.modalities.decision import DecisionRule
from thresher.modalities.samples import EncodedSamples
from thresher.target.folder import FORMAT, Plan, Setting, TargetError, find_plan
from thresher.target.script import sign

MAX_ARRAY = 2**31
"""Bytes of an array that is read."""
AGAIN = "Fix: run its measure.py again, and bring the file back as it is."


@dataclass(frozen=True)
class Measured:
    """A file of measurements that its signature proves to be of the folder of ``plan``."""

    path: Path
    plan: Plan
    document: Mapping[str, Any]

    @property
    def machine(self) -> dict[str, str]:
        """The machine in words."""
        return {str(name): str(value) for name, value in self.document["machine"].items()}


def read_measured(path: Path, project: Path, recipe: str) -> Measured:
    """Return the measurements in ``path``.

    Raises:
        TargetError: it is no such file, of a folder that this project has not made, of another recipe, or altered.
        DataError: it cannot be read.
    """
    try:
        document = json.loads(read_bytes(path, "correct --measured."))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise TargetError(f"{path}: no JSON ({error}). {AGAIN}") from error
    if not isinstance(document, dict) or "signature" not in document or "results" not in document:
        raise TargetError(f"{path}: not what measure.py of `thresher measure` writes. {AGAIN}")
    plan = find_plan(project, document.get("id"))
    if plan is None:
        what = "it was measured with a folder that this project has not made"
        raise TargetError(f"{path}: {what}. Fix: thresher measure {recipe} FOLDER, and measure with that.")
    if not hmac.compare_digest(str(document["signature"]).encode(), sign(document, plan.token).encode()):
        raise TargetError(f"{path}: it was altered since it was measured: its signature is of other content. {AGAIN}")
    if plan.recipe != recipe:
        raise TargetError(f"{path}: of recipe {plan.recipe}. Fix: thresher judge {plan.recipe} --measured {path}.")
    if document.get("format") != FORMAT or document.get("files") != plan.files:
        raise TargetError(f"{path}: measured with other files than those of the folder. {AGAIN}")
    return Measured(path, plan, document)


def variant_name(candidate: str, setting: Setting) -> str:
    """Return how a candidate with a setting is called: by its own name with the first of them."""
    return candidate if setting.name == CPU else f"{candidate}@{setting.label}"


def unpack(text: Any) -> np.ndarray:
    """Return the array that ``text`` packs; raises a ValueError for what is none."""
    try:
        opened = zlib.decompressobj()
        content = opened.decompress(base64.b64decode(text, validate=True), MAX_ARRAY)
        if opened.unconsumed_tail:
            raise ValueError("too large")
        array: np.ndarray = np.load(io.BytesIO(content), allow_pickle=False)
    except (zlib.error, binascii.Error, TypeError, EOFError) as error:
        raise ValueError(str(error)) from error
    return array


@dataclass(frozen=True)
class Home:
    """What this project knows of the candidates.

    Attributes:
        costs: candidate -> its evaluation here, of which what is counted and not timed holds anywhere.
        metrics: of quality, that the recipe names.
        rules: candidate -> by which its file has its classes.
    """

    costs: Mapping[str, Evaluation]
    samples: EncodedSamples
    measurement: Measurement
    metrics: tuple[str, ...]
    rules: Mapping[str, DecisionRule | None]


Results = dict[str, Evaluation | CandidateFailure]


def evaluate_measured(measured: Measured, home: Home) -> tuple[Results, dict[str, np.ndarray]]:
    """Return the evaluation of each candidate with each setting on the other machine, and its answers there.

    Raises:
        TargetError: float itself could not be measured, or the file has not what it should.
    """
    plan = measured.plan
    settings = {setting.name: setting for setting in plan.settings}
    found = {(one["candidate"], one["setting"]): one for one in measured.document["results"]}
    results: Results = {}
    answers: dict[str, np.ndarray] = {}
    try:
        reference = found[plan.reference, CPU]
        if "failed" in reference:
            raise TargetError(f"{plan.reference} could not be measured there: {reference['failed']}.")
        float_answers = unpack(reference["answers"])
        for (candidate, setting), one in found.items():
            name = variant_name(candidate, settings[setting])
            if "failed" in one:
                results[name] = CandidateFailure(candidate=name, step="measure", reason=str(one["failed"]))
                continue
            answers[name] = unpack(one["answers"])
            results[name] = _evaluation(name, one, settings[setting], float_answers, answers[name], measured, home)
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise TargetError(f"{measured.path}: not whole ({type(error).__name__}: {error}). {AGAIN}") from error
    return results, answers


def _evaluation(
    name: str,
    one: Mapping[str, Any],
    setting: Setting,
    float_answers: np.ndarray,
    answers: np.ndarray,
    measured: Measured,
    home: Home,
) -> Evaluation:
    labels, class_names = home.samples.labels, home.samples.class_names
    rules = (home.rules[one["candidate"]], home.rules[measured.plan.reference])
    memory = {each["candidate"]: each.get("peak_memory_bytes") for each in measured.document["results"][::-1]}
    clock = Clock(measured.plan.threads == 1 and setting.provider == CPU, bool(measured.document["fine_clock"]))
    seconds = load_seconds((_calls(one["loading"]["model"]), _calls(one["loading"]["reference"])))
    load_ms, reference_load_ms = 1e3 * np.median(seconds, axis=0)
    return Evaluation(
        candidate=name,
        reference=measured.plan.reference,
        quality=measure_quality(answers, float_answers, labels, rules),
        own=measure_own_metrics(home.metrics, answers, float_answers, labels, class_names, rules),
        cost=home.costs[one["candidate"]].cost,
        footprint=Footprint(
            peak_memory_bytes=one["peak_memory_bytes"],
            reference_peak_memory_bytes=int(memory[measured.plan.reference] or 0),
            load_ms=float(load_ms),
            reference_load_ms=float(reference_load_ms),
            load_ratios=tuple(seconds[:, 0] / seconds[:, 1]),
        ),
        latencies=tuple(_latency(each, home.measurement, float(one["stolen"]), clock) for each in one["latencies"]),
        machine=measured.machine,
        onnxruntime_version=str(measured.document["onnxruntime"]),
        measured_at=str(measured.document["measured_at"]),
    )


def _latency(one: Mapping[str, Any], measurement: Measurement, stolen: float, clock: Clock) -> Latency:
    pairs = list(zip(_calls(one["model"]), _calls(one["reference"]), strict=True))
    return latency_of_rounds(int(one["batch_size"]), pairs, measurement, stolen, clock)


def _calls(packed: Any) -> list[CallTimes]:
    wall, computed, interrupted = unpack(packed)
    return [CallTimes(*each) for each in zip(wall, computed, interrupted.astype(bool), strict=True)]
