"""The winner against today's champion: each with its own encoder on the same raw samples, as when served."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from thresher import modalities
from thresher.errors import InvalidInputError
from thresher.evaluation import Measurement
from thresher.evaluation.cost import measure_cost
from thresher.evaluation.decision import read_rule
from thresher.evaluation.evaluation import Contender, evaluate
from thresher.evaluation.promotion_gate import Challenge, decide
from thresher.evaluation.runtime import open_session, predict
from thresher.evaluation.selection import Selection
from thresher.evaluation.temperature import TEMPERATURE
from thresher.events import Step, emit
from thresher.machine import describe_machine
from thresher.modalities.encoder import Encoder
from thresher.modalities.samples import Samples
from thresher.onnx_graph import read_note
from thresher.process_state import exclusive_access
from thresher.serving.core.bundle import Bundle, has_content, hash_content

ITSELF = "it is the champion itself"
"""The same file is not crowned over itself."""


@dataclass(frozen=True)
class Entrant:
    """A model that stands beside the champion, with the encoder that it would be served with."""

    name: str
    onnx_file: bytes
    encoder: Encoder

    @property
    def content(self) -> str:
        """The hash of both, by which a registered version is known again."""
        return hash_content(self.onnx_file, self.encoder)


def decide_unmeasured(winner: Entrant, reigning: Bundle | None, set_aside: dict[str, str]) -> Challenge | None:
    """Return the outcome where it does not hang on figures: there is no champion, or the winner is known already."""
    if reigning is None:
        return Challenge(replaces=True, reason="there was no champion")
    reason = set_aside.get(winner.content)
    if reason is None and (others := _answer_otherwise(winner.onnx_file, reigning.onnx_bytes)):
        return Challenge(replaces=True, reason=others, champion_version=reigning.info.model_version)
    if has_content(winner.content, reigning.onnx_bytes, reigning.encoder):
        reason = reason or ITSELF
    if reason is None:
        return None
    return Challenge(replaces=False, reason=reason, champion_version=reigning.info.model_version)


def _answer_otherwise(ours: bytes, theirs: bytes) -> str:
    """Return in what the recipe now asks for other answers than the champion's file gives, or nothing.

    Measured against each other, an answer that is no longer asked for could win: a threshold costs accuracy.
    """
    if (read_note(ours, TEMPERATURE) is None) != (read_note(theirs, TEMPERATURE) is None):
        return f"the champion is {'' if read_note(theirs, TEMPERATURE) else 'not '}calibrated, other than this recipe's"
    rule, before = read_rule(ours), read_rule(theirs)
    if (rule is None and before is None) or (rule is not None and rule.is_like(before)):
        return ""
    now, then = (each or "the likeliest class" for each in (rule, before))
    return f"the champion answers {then}, and the recipe asks for {now}"


def measure_both(
    winner: Entrant, reigning: Bundle, test: Samples[Any], measurement: Measurement, selection: Selection
) -> Challenge:
    """Return who is better on the raw ``test`` samples, each with its own encoder; who cannot take them loses."""
    version = reigning.info.model_version
    try:
        theirs = _encode_for_champion(reigning.encoder, winner.encoder, test)
        _check_numbers(reigning)
    except InvalidInputError as error:
        return Challenge(replaces=True, reason=str(error), champion_version=version)
    emit(Step(f"{winner.name} against the champion, version {version}"))
    champion = Entrant("champion", reigning.onnx_bytes, reigning.encoder)
    ours = modalities.encode(winner.encoder, test).inputs
    with exclusive_access():
        first, second = (_contender(*each, measurement.threads) for each in ((winner, ours), (champion, theirs)))
        result = evaluate(first, second, test.labels, measurement, describe_machine(), test.class_names)
    return decide(result, measure_cost(champion.onnx_file, champion.encoder.model_input), selection, version)


def _encode_for_champion(champion: Encoder, winner: Encoder, test: Samples[Any]) -> np.ndarray:
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
    if champion.encoder.model_input.dtype != np.float64:
        return
    if open_session(champion.onnx_bytes, 1).get_inputs()[0].type == "tensor(float)":
        raise InvalidInputError("the champion takes series in float32, as all did before, and loses large offsets")


def _contender(entrant: Entrant, inputs: np.ndarray, threads: int) -> Contender:
    model_input = entrant.encoder.model_input
    outputs = predict(open_session(entrant.onnx_file, threads), inputs, model_input)
    return Contender(entrant.onnx_file, inputs, model_input, entrant.name, outputs)
