"""The nodes of the packaging stage."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path

from thresher.errors import NoCandidateQualifiesError
from thresher.evaluation import Measurement
from thresher.evaluation.selection import Selection
from thresher.machine import describe_machine, git_commit
from thresher.modalities.fingerprint import DataFingerprint
from thresher.modalities.image import ImageEncoder
from thresher.modalities.samples import EncodedSamples
from thresher.pipelines.types import Challenge, Verdict
from thresher.progress import Step, report
from thresher.serving.bundle import Bundle, ModelInfo, write_bundle
from thresher.serving.options import Serving


def challenge_champion(
    verdict: Verdict,
    reigning: Bundle | None,
    encoder: ImageEncoder,
    test_samples: EncodedSamples,
    evaluation: Measurement,
    selection: Selection,
    *onnx_files: bytes,
) -> Challenge:
    """Return whether the winner takes the champion's place, both measured now on the same test samples.

    Raises:
        NoCandidateQualifiesError: there is no winner; the registry stays as it is.
    """
    from thresher.evaluation.challenge import Challenge

    winner = winning_file(verdict, onnx_files)
    if reigning is None:
        return Challenge(replaces=True, reason="there was no champion")
    if reigning.encoder != encoder:
        reason = "the champion takes other inputs or knows other classes"
        return Challenge(replaces=True, reason=reason, champion_version=reigning.info.model_version)
    return _compare(verdict, winner, reigning, test_samples, evaluation, selection)


def crown_champion(
    verdict: Verdict,
    challenge: Challenge,
    reigning: Bundle | None,
    encoder: ImageEncoder,
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


def _compare(
    verdict: Verdict,
    winner: bytes,
    reigning: Bundle,
    samples: EncodedSamples,
    measurement: Measurement,
    selection: Selection,
) -> Challenge:
    from thresher.evaluation.challenge import decide
    from thresher.evaluation.cost import measure_cost
    from thresher.evaluation.evaluation import Contender, evaluate
    from thresher.evaluation.runtime import open_session, predict

    version = reigning.info.model_version
    report(Step(f"{verdict.winner} against the champion, version {version}"))
    ours, theirs = (
        Contender(name, file, predict(open_session(file, measurement.threads), samples.inputs))
        for name, file in ((str(verdict.winner), winner), (f"version {version}", reigning.onnx_bytes))
    )
    result = evaluate(ours, theirs, samples.inputs, samples.labels, measurement, describe_machine())
    return decide(result, measure_cost(reigning.onnx_bytes), selection, version)
