"""The nodes of the packaging stage."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from thresher.errors import NoCandidateQualifiesError
from thresher.evaluation import Measurement
from thresher.evaluation.decision import read_rule
from thresher.evaluation.promotion_gate import Challenge
from thresher.evaluation.selection import ALLOW, Selection
from thresher.evaluation.verdict import Verdict
from thresher.events import Notice, Step, emit
from thresher.machine import git_commit
from thresher.modalities import AnyEncoder
from thresher.modalities.encoder import Encoder
from thresher.modalities.fingerprint import DataFingerprint
from thresher.modalities.samples import EncodedSamples, Samples
from thresher.packaging.bento import pack
from thresher.pipelines.package.challenge import ITSELF, Entrant, decide_unmeasured, measure_both
from thresher.pipelines.package.example import choose_example
from thresher.serving.core.bundle import (
    CARD_FILE,
    EXAMPLE_FILE,
    PROFILE_FILE,
    SERVED_BY,
    VERDICT_FILE,
    Bundle,
    ModelInfo,
)
from thresher.serving.monitoring.challenger import choose_challenger
from thresher.serving.monitoring.profile import make_profile
from thresher.serving.options import Serving, ShadowOptions


def challenge_champion(
    verdict: Verdict,
    reigning: Bundle | None,
    set_aside: dict[str, str],
    encoder: AnyEncoder,
    test: Samples[Any],
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
    winner = Entrant(str(verdict.winner), winning_file(verdict, onnx_files), encoder)
    challenge = decide_unmeasured(winner, reigning, set_aside)
    if challenge is None:
        assert reigning is not None
        challenge = measure_both(winner, reigning, test, evaluation, selection)
    return challenge.model_copy(update={"winner_content": winner.content})


def crown_champion(
    verdict: Verdict,
    challenge: Challenge,
    reigning: Bundle | None,
    encoder: AnyEncoder,
    fingerprint: DataFingerprint,
    evaluation: Measurement,
    serving: Serving,
    training_samples: EncodedSamples,
    test: Samples[Any],
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
    about = AboutWinner(encoder, fingerprint, evaluation, serving, training_samples, test, card, onnx_files)
    winner = _bundle(verdict, challenge, about)
    if challenge.replaces:
        return winner
    assert reigning is not None
    # A run tries no other setting than its own: one that another machine has shown to pay stays with the model.
    winner = replace(winner, info=winner.info.model_copy(update={"execution": reigning.info.execution}))
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
    test: Samples[Any],
    card: str,
    *onnx_files: bytes,
) -> Bundle:
    """Return the winner that did not replace the ``champion``, without a version yet, or the champion where it did."""
    if challenge.replaces:
        return champion
    about = AboutWinner(encoder, fingerprint, evaluation, serving, training_samples, test, card, onnx_files)
    return _bundle(verdict, challenge, about)


@dataclass(frozen=True)
class AboutWinner:
    """What a winner's bundle is made of, besides the verdict and the challenge; see `crown_champion`."""

    encoder: Encoder
    fingerprint: DataFingerprint
    evaluation: Measurement
    serving: Serving
    training_samples: EncodedSamples
    test: Samples[Any]
    card: str
    onnx_files: tuple[bytes, ...]


def _bundle(verdict: Verdict, challenge: Challenge, about: AboutWinner) -> Bundle:
    """Return the winner as it is registered and served, without a version yet."""
    assert verdict.winner is not None
    encoder, serving, threads = about.encoder, about.serving, about.evaluation.threads
    info = ModelInfo(
        recipe=verdict.recipe,
        candidate=verdict.winner,
        model_version="",
        mlflow_run_id="",
        data_hash=about.fingerprint.train_sha256,
        git_commit=git_commit(Path.cwd()),
        created=datetime.now(UTC),
        threads=threads,
        max_batch_size=serving.max_batch_size,
        max_latency_ms=serving.max_latency_ms,
        timeout_ms=serving.timeout_ms,
        workers=serving.workers,
        decision=read_rule(winning_file(verdict, about.onnx_files)),
        metrics={name: interval.value for name, interval in verdict.of(verdict.winner).metrics.items()},
    )
    profile = make_profile(encoder, about.training_samples.inputs, about.training_samples.labels)
    attachments = {
        CARD_FILE: about.card.encode(),
        VERDICT_FILE: verdict.model_dump_json(indent=2).encode(),
        PROFILE_FILE: profile.model_dump_json().encode(),
    }
    onnx_file = winning_file(verdict, about.onnx_files)
    example = (
        choose_example(encoder, onnx_file, about.test, threads, info.decision) if serving.example == "real" else None
    )
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
