"""The nodes of the packaging stage."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from thresher import modalities
from thresher.errors import InvalidInputError, NoCandidateQualifiesError
from thresher.evaluation import Measurement
from thresher.evaluation.selection import ALLOW, Selection
from thresher.events import Notice, Step, emit
from thresher.machine import describe_machine, git_commit
from thresher.modalities import AnyEncoder
from thresher.modalities.encoder import Encoder
from thresher.modalities.fingerprint import DataFingerprint
from thresher.modalities.samples import EncodedSamples, Samples
from thresher.pipelines.package.example import choose_example
from thresher.pipelines.types import Challenge, Contender, Verdict
from thresher.serving.core.bundle import (
    CARD_FILE,
    EXAMPLE_FILE,
    PROFILE_FILE,
    SERVED_BY,
    VERDICT_FILE,
    Bundle,
    ModelInfo,
    has_content,
    hash_content,
)
from thresher.serving.monitoring.challenger import choose_challenger
from thresher.serving.monitoring.profile import make_profile
from thresher.serving.options import Serving, ShadowOptions

ITSELF = "it is the champion itself"
"""The same file is not crowned over itself."""


def challenge_champion(
    verdict: Verdict,
    reigning: Bundle | None,
    set_aside: dict[str, str],
    encoder: AnyEncoder,
    test: Samples,
    evaluation: Measurement,
    selection: Selection,
    *onnx_files: bytes,
) -> Challenge:
    """Return whether the winner takes the champion's place, both measured now on the same test samples.

    Each gets the raw samples through its own encoder, as it would when served.

    Args:
        set_aside: hashes of models that somebody chose another champion over, with the reason: they do not come back
            by a run, whatever they measure.

    Raises:
        NoCandidateQualifiesError: there is no winner; the registry stays as it is.
    """
    winner = winning_file(verdict, onnx_files)
    decided = _challenge(verdict, reigning, set_aside, encoder, test, evaluation, selection, winner)
    return decided.model_copy(update={"winner_content": hash_content(winner, encoder)})


def _challenge(
    verdict: Verdict,
    reigning: Bundle | None,
    set_aside: dict[str, str],
    encoder: AnyEncoder,
    test: Samples,
    evaluation: Measurement,
    selection: Selection,
    winner: bytes,
) -> Challenge:
    from thresher.evaluation.promotion_gate import Challenge

    if reigning is None:
        return Challenge(replaces=True, reason="there was no champion")
    version, content = reigning.info.model_version, hash_content(winner, encoder)
    if has_content(content, reigning.onnx_bytes, reigning.encoder):
        return Challenge(replaces=False, reason=set_aside.get(content, ITSELF), champion_version=version)
    if reason := set_aside.get(content):
        return Challenge(replaces=False, reason=reason, champion_version=version)
    try:
        theirs = _encode_for_champion(reigning.encoder, encoder, test)
        _check_numbers(reigning)
    except InvalidInputError as error:
        return Challenge(replaces=True, reason=str(error), champion_version=version)
    emit(Step(f"{verdict.winner} against the champion, version {version}"))
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
    training_samples: EncodedSamples,
    test: Samples,
    card: str,
    *onnx_files: bytes,
) -> Bundle:
    """Return the champion from now on: the winner, without a version yet, or the one that keeps its place.

    Args:
        training_samples: what the service compares its inputs with, as a profile that travels with the winner.
        test: what the example is chosen from that the service shows how to call it with.
        card: the model card, which travels with it as the verdict does.
    """
    if not challenge.replaces and challenge.reason != ITSELF:
        assert reigning is not None
        return reigning
    about = (encoder, fingerprint, evaluation, serving, training_samples, test, card)
    winner = _winner(verdict, challenge, *about, onnx_files)
    if challenge.replaces:
        return winner
    assert reigning is not None
    changed = changed_service(reigning.info, winner.info)
    if serving.example == "typical" and EXAMPLE_FILE in reigning.attachments:
        changed = ", ".join(filter(None, (changed, "example real -> typical")))
    return replace(winner, reason=f"the same model, served otherwise: {changed}") if changed else reigning


def changed_service(before: ModelInfo, now: ModelInfo) -> str:
    """Return what changed in how a model is served, or nothing."""
    values = [(name, getattr(before, name), getattr(now, name)) for name in SERVED_BY]
    return ", ".join(f"{name} {old} -> {new}" for name, old, new in values if old != new)


def enter_challenger(
    verdict: Verdict,
    challenge: Challenge,
    champion: Bundle,
    encoder: AnyEncoder,
    fingerprint: DataFingerprint,
    evaluation: Measurement,
    serving: Serving,
    training_samples: EncodedSamples,
    test: Samples,
    card: str,
    *onnx_files: bytes,
) -> Bundle:
    """Return the winner that did not replace the ``champion``, without a version yet, or the champion where it did."""
    if challenge.replaces:
        return champion
    about = (encoder, fingerprint, evaluation, serving, training_samples, test, card)
    return _winner(verdict, challenge, *about, onnx_files)


def _winner(
    verdict: Verdict,
    challenge: Challenge,
    encoder: Encoder,
    fingerprint: DataFingerprint,
    evaluation: Measurement,
    serving: Serving,
    training_samples: EncodedSamples,
    test: Samples,
    card: str,
    onnx_files: tuple[bytes, ...],
) -> Bundle:
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
        timeout_ms=serving.timeout_ms,
        workers=serving.workers,
        metrics={name: interval.value for name, interval in verdict.of(verdict.winner).metrics.items()},
    )
    profile = make_profile(encoder, training_samples.inputs, training_samples.labels)
    attachments = {
        CARD_FILE: card.encode(),
        VERDICT_FILE: verdict.model_dump_json(indent=2).encode(),
        PROFILE_FILE: profile.model_dump_json().encode(),
    }
    onnx_file = winning_file(verdict, onnx_files)
    example = choose_example(encoder, onnx_file, test, evaluation.threads) if serving.example == "real" else None
    if example is not None:
        attachments[EXAMPLE_FILE] = example.model_dump_json().encode()
    return Bundle(onnx_file, encoder, info, attachments, challenge.reason)


def build_champion_bento(
    champion: Bundle,
    bentofile: Path,
    shadow: ShadowOptions | None = None,
    challenger: Bundle | None = None,
    entered: str = "",
) -> str:
    """Put the champion into BentoML's model store, build its Bento, and return the Bento's tag.

    Args:
        bentofile: what BentoML builds by, in the project's folder; where it changed, there is another Bento to build.
        shadow: whether a challenger is served beside it, unseen.
        challenger: the version that ``shadow`` names; None where there is none.
        entered: the version that this run or an earlier one entered: it is registered before ``challenger`` is read.
    """
    from thresher.packaging.bento import pack

    emit(Step("bentoml build"))
    if shadow is None:
        return pack(champion, bentofile.parent)
    found, notice = choose_challenger(champion, challenger, shadow)
    emit(Notice(notice))
    return pack(champion, bentofile.parent, found)


def winning_file(verdict: Verdict, onnx_files: tuple[bytes, ...]) -> bytes:
    """Return the winner's ONNX file out of ``onnx_files``, which stand in the order of the verdict's candidates.

    Raises:
        NoCandidateQualifiesError: there is no winner.
    """
    if verdict.winner is None:
        reasons = "\n".join(f"  {judged.candidate}: {judged.reason}" for judged in verdict.candidates)
        raise NoCandidateQualifiesError(
            f"Recipe {verdict.recipe}: {_why_nobody(verdict)}; the registry is unchanged.\n{reasons}\n{_fix(verdict)}"
        )
    return onnx_files[[judged.candidate for judged in verdict.candidates].index(verdict.winner)]


def _why_nobody(verdict: Verdict) -> str:
    return "nothing was learned" if verdict.nothing_learned else "no candidate meets selection.require"


def _fix(verdict: Verdict) -> str:
    if not verdict.nothing_learned:
        return "Loosen a requirement, or add a candidate that prunes less or finetunes longer."
    return (
        "The float model itself is not shown to be better than an answer that ignores its input. Fix: look at the "
        "labels and the features, train longer or with another learning rate or model, give more test samples; or, if "
        f"such a model is wanted, {ALLOW}."
    )


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


def _check_numbers(champion: Bundle) -> None:
    """Check that the champion's file takes numbers as its encoder makes them.

    Raises:
        InvalidInputError: it takes series in float32, as all files of before do, and cannot be timed beside the winner.
    """
    from thresher.evaluation.runtime import open_session

    if champion.encoder.model_input.dtype != np.float64:
        return
    if open_session(champion.onnx_bytes, 1).get_inputs()[0].type == "tensor(float)":
        raise InvalidInputError("the champion takes series in float32, as all did before, and loses large offsets")


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
    from thresher.evaluation.cost import measure_cost
    from thresher.evaluation.evaluation import evaluate
    from thresher.evaluation.promotion_gate import decide

    result = evaluate(*contenders, labels, measurement, describe_machine())
    champion = contenders[1]
    return decide(result, measure_cost(champion.onnx_file, champion.model_input), selection, version)
