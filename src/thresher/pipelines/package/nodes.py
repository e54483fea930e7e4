"""The nodes of the packaging stage."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from thresher import modalities
from thresher.errors import InvalidInputError, NoCandidateQualifiesError
from thresher.evaluation import Measurement
from thresher.evaluation.selection import Selection
from thresher.machine import describe_machine, git_commit
from thresher.modalities import AnyEncoder
from thresher.modalities.encoder import Encoder
from thresher.modalities.fingerprint import DataFingerprint
from thresher.modalities.samples import Samples
from thresher.pipelines.types import Challenge, Contender, Verdict
from thresher.progress import Step, report
from thresher.serving.bundle import Bundle, ModelInfo, write_bundle
from thresher.serving.options import Serving


def challenge_champion(
    verdict: Verdict,
    reigning: Bundle | None,
    encoder: AnyEncoder,
    test: Samples,
    evaluation: Measurement,
    selection: Selection,
    *onnx_files: bytes,
) -> Challenge:
    """Return whether the winner takes the champion's place, both measured now on the same test samples.

    Each gets the raw samples through its own encoder, as it would when served.

    Raises:
        NoCandidateQualifiesError: there is no winner; the registry stays as it is.
    """
    from thresher.evaluation.challenge import Challenge

    winner = winning_file(verdict, onnx_files)
    if reigning is None:
        return Challenge(replaces=True, reason="there was no champion")
    version = reigning.info.model_version
    try:
        theirs = _encode_for_champion(reigning.encoder, encoder, test)
    except InvalidInputError as reason:
        return Challenge(replaces=True, reason=str(reason), champion_version=version)
    report(Step(f"{verdict.winner} against the champion, version {version}"))
    ours = modalities.encode(encoder, test).inputs
    contenders = (
        _contender(str(verdict.winner), winner, encoder, ours, evaluation.threads),
        _contender("champion", reigning.onnx_bytes, reigning.encoder, theirs, evaluation.threads),
    )
    return _compare(contenders, test.labels, evaluation, selection, version)


def crown_champion(
    verdict: Verdict,
    challenge: Challenge,
    reigning: Bundle | None,
    encoder: AnyEncoder,
    fingerprint: DataFingerprint,
    evaluation: Measurement,
    serving: Serving,
    *onnx_files: bytes,
) -> Bundle:
    """Return the champion from now on: the winner, without a version yet, or the one that keeps its place."""
    if not challenge.replaces:
        assert reigning is not None
        return reigning
    assert verdict.winner is not None
    info = ModelInfo(
        recipe=verdict.recipe,
        candidate=verdict.winner,
        model_version="",
        mlflow_run_id="",
        data_hash=fingerprint.train_sha256,
        git_commit=git_commit(Path.cwd()),
        created=datetime.now(UTC),
        threads=evaluation.threads,
        max_batch_size=serving.max_batch_size,
        max_latency_ms=serving.max_latency_ms,
        metrics={name: interval.value for name, interval in verdict.of(verdict.winner).metrics.items()},
    )
    return Bundle(winning_file(verdict, onnx_files), encoder, info)


def build_champion_bento(champion: Bundle, bentofile: str) -> str:
    """Put the champion into BentoML's model store, build its Bento, and return the Bento's tag.

    Args:
        bentofile: what BentoML builds by, which it reads itself; where it changed, there is another Bento to build.
    """
    from thresher.serving.packaging import build_bento, store_bundle

    report(Step("bentoml build"))
    with tempfile.TemporaryDirectory(prefix="thresher-") as folder:
        write_bundle(Path(folder), champion.onnx_bytes, champion.encoder, champion.info)
        store_bundle(Path(folder))
    return build_bento(champion.info.recipe)


def winning_file(verdict: Verdict, onnx_files: tuple[bytes, ...]) -> bytes:
    """Return the winner's ONNX file out of ``onnx_files``, which stand in the order of the verdict's candidates.

    Raises:
        NoCandidateQualifiesError: there is no winner.
    """
    if verdict.winner is None:
        reasons = "\n".join(f"  {judged.candidate}: {judged.reason}" for judged in verdict.candidates)
        raise NoCandidateQualifiesError(
            f"Recipe {verdict.recipe}: no candidate meets selection.require; the registry is unchanged.\n{reasons}\n"
            "Loosen a requirement, or add a candidate that prunes less or finetunes longer."
        )
    return onnx_files[[judged.candidate for judged in verdict.candidates].index(verdict.winner)]


def _encode_for_champion(champion: Encoder, winner: Encoder, test: Samples) -> np.ndarray:
    """Return the raw test samples as the champion takes them.

    Raises:
        InvalidInputError: it does not, or it cannot be compared with the winner; with the reason.
    """
    if champion.task != winner.task:
        raise InvalidInputError(f"the champion does a {champion.task}")
    if champion.class_names != winner.class_names:
        raise InvalidInputError("the champion knows other classes")
    if champion.NAMES != winner.NAMES:
        raise InvalidInputError(f"the champion takes other inputs: {champion.NAMES[1]}")
    try:
        return champion.encode(test.inputs)
    except InvalidInputError as error:
        raise InvalidInputError(f"the champion takes other inputs: {error}") from error


def _contender(name: str, onnx_file: bytes, encoder: Encoder, inputs: np.ndarray, threads: int) -> Contender:
    from thresher.evaluation.evaluation import Contender
    from thresher.evaluation.runtime import open_session, predict

    outputs = predict(open_session(onnx_file, threads), inputs, encoder.model_input)
    return Contender(onnx_file, inputs, encoder.model_input, name, outputs)


def _compare(
    contenders: tuple[Contender, Contender],
    labels: np.ndarray,
    measurement: Measurement,
    selection: Selection,
    version: str,
) -> Challenge:
    from thresher.evaluation.challenge import decide
    from thresher.evaluation.cost import measure_cost
    from thresher.evaluation.evaluation import evaluate

    result = evaluate(*contenders, labels, measurement, describe_machine())
    champion = contenders[1]
    return decide(result, measure_cost(champion.onnx_file, champion.model_input), selection, version)
