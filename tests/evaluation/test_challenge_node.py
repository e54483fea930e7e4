"""The champion is measured with its own encoder on the raw test samples; what cannot be compared is replaced."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
from helpers.any_modality import make_encoder, make_samples
from helpers.tiny_onnx import make_sum_onnx

from thresher.errors import NoCandidateQualifiesError
from thresher.evaluation import Measurement
from thresher.evaluation.evaluation import Contender, evaluate
from thresher.evaluation.judge import judge
from thresher.evaluation.promotion_gate import Challenge
from thresher.evaluation.runtime import open_session, predict
from thresher.evaluation.selection import Selection
from thresher.evaluation.verdict import Verdict
from thresher.modalities import encode
from thresher.modalities.encoder import Encoder
from thresher.modalities.fingerprint import fingerprint
from thresher.modalities.samples import Samples
from thresher.pipelines.package.challenge import ITSELF
from thresher.pipelines.package.nodes import challenge_champion, changed_service, crown_champion
from thresher.serving.core.bundle import Bundle, ModelInfo, hash_content
from thresher.serving.core.example import read_example, sample_of
from thresher.serving.options import Serving

QUICK = Measurement(rounds=10, seconds=0.01, batch_sizes=(1,))
INFO = ModelInfo.model_validate(
    {
        **dict.fromkeys(("recipe", "candidate", "mlflow_run_id", "data_hash", "git_commit"), "x"),
        "model_version": "7",
        "created": 0,
        "threads": 1,
        "max_batch_size": 1,
        "max_latency_ms": 1,
    }
)


def model_of(encoder: Encoder) -> bytes:
    return make_sum_onnx(encoder.model_input, len(encoder.class_names))


def verdict_of(encoder: Encoder, test: Samples, require: dict[str, Any]) -> Verdict:
    inputs, onnx_file = encode(encoder, test).inputs, model_of(encoder)
    outputs = predict(open_session(onnx_file, 1), inputs, encoder.model_input)
    float_model = Contender(onnx_file, inputs, encoder.model_input, "float", outputs)
    evaluation = evaluate(float_model, float_model, test.labels, QUICK, {})
    return judge("r", {"float": evaluation}, Selection.model_validate({"minimize": "size_bytes", "require": require}))


def challenge(winner: Encoder, champion: Encoder | None, modality: str, task: str = "classification") -> Challenge:
    test = make_samples(modality, task, seed=3)
    reigning = champion and Bundle(_with_note(model_of(champion)), champion, INFO)
    verdict = verdict_of(winner, test, {})
    selection = Selection(minimize="size_bytes")
    return challenge_champion(verdict, reigning, {}, winner, test, QUICK, selection, model_of(winner))


def test_without_a_champion_the_winner_reigns() -> None:
    assert challenge(make_encoder("image"), None, "image").reason == "there was no champion"


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_equals_replace(task: str) -> None:
    result = challenge(make_encoder("image", task), make_encoder("image", task), "image", task)
    assert result.reason == "no worse than the champion on the same test data"
    assert (result.replaces, result.champion_version) == (True, "7")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"class_names": ("high", "low", "middle")}, "the champion knows other classes"),
        ({"class_names": ()}, "the champion does a regression"),
        ({"height": 9}, "the champion takes other inputs: images of shape [1, 8, 6]"),
    ],
)
def test_a_champion_that_cannot_be_compared_is_replaced(changes: dict[str, Any], reason: str) -> None:
    ours = make_encoder("image")
    result = challenge(ours, ours.model_copy(update=changes), "image")
    assert (result.replaces, result.champion_version) == (True, "7")
    assert result.reason.startswith(reason)


def test_a_champion_of_another_modality_is_replaced() -> None:
    result = challenge(make_encoder("image"), make_encoder("text"), "image")
    assert (result.replaces, result.reason) == (True, "the champion takes other inputs: texts")


def test_a_champion_of_other_columns_is_replaced() -> None:
    ours, table = make_encoder("tabular"), make_samples("tabular").inputs
    theirs = type(ours).fit(_with_columns(table, {"age": "years"}), _config("tabular"))
    result = challenge(ours, theirs, "tabular")
    assert result.replaces
    assert result.reason.startswith("the champion takes other inputs: ")
    assert "years" in result.reason


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_champion_with_another_vocabulary_gets_its_own_tokens(task: str) -> None:
    """The same raw texts reach both; in the other's tokens, the champion would answer something else."""
    test, ours = make_samples("text", task, seed=3), make_encoder("text", task)
    half = make_samples("text", task)
    theirs = type(ours).fit(half.take(np.arange(5)), _config("text"))
    assert theirs != ours
    champion = Bundle(model_of(theirs), theirs, INFO)
    selection = Selection.model_validate({"minimize": "size_bytes"})
    result = challenge_champion(verdict_of(ours, test, {}), champion, {}, ours, test, QUICK, selection, model_of(ours))
    values = predict(open_session(model_of(theirs), 1), theirs.encode(test.inputs), theirs.model_input)
    others = predict(open_session(model_of(ours), 1), ours.encode(test.inputs), ours.model_input)
    assert not np.array_equal(values, others)
    assert result.champion_version == "7"
    assert "other inputs" not in result.reason


def test_nobody_wins_without_a_requirement_kept() -> None:
    test, encoder = make_samples("image"), make_encoder("image")
    verdict = verdict_of(encoder, test, {"macs": {"at_least": 10**9}})
    with pytest.raises(NoCandidateQualifiesError):
        challenge_champion(verdict, None, {}, encoder, test, QUICK, Selection(), b"")


def _config(modality: str) -> Any:
    from thresher.modalities import EncodingChoice

    return EncodingChoice.model_validate({"kind": modality}).root


def _with_columns(table: Any, names: dict[str, str]) -> Samples:
    from thresher.modalities.tabular.table import Table

    renamed = Table({names.get(name, name): column for name, column in table.columns.items()})
    samples = make_samples("tabular")
    return Samples(renamed, samples.labels, samples.class_names)


def test_a_model_that_was_set_aside_does_not_come_back_by_a_run() -> None:
    encoder = make_encoder("image")
    test, onnx_file = make_samples("image", seed=3), model_of(encoder)
    reigning, verdict = Bundle(_with_note(onnx_file), encoder, INFO), verdict_of(encoder, test, {})
    content = hash_content(onnx_file, encoder)
    set_aside = {content: "it was rolled back from as version 8: slow at night"}
    arguments = (encoder, test, QUICK, Selection(minimize="size_bytes"), onnx_file)
    result = challenge_champion(verdict, reigning, set_aside, *arguments)
    assert result == Challenge(replaces=False, reason=set_aside[content], champion_version="7", winner_content=content)
    result = challenge_champion(verdict, reigning, {}, *arguments)
    assert (result.replaces, result.winner_content) == (True, content)
    assert challenge_champion(verdict, None, set_aside, *arguments).replaces


def test_a_model_is_not_crowned_over_itself_but_for_how_it_is_served() -> None:
    encoder = make_encoder("image")
    test, onnx_file = make_samples("image", seed=3), model_of(encoder)
    reigning, verdict = Bundle(onnx_file, encoder, INFO), verdict_of(encoder, test, {})
    arguments = (encoder, test, QUICK, Selection(minimize="size_bytes"), onnx_file)
    result = challenge_champion(verdict, reigning, {}, *arguments)
    assert (result.replaces, result.reason, result.champion_version) == (False, ITSELF, "7")
    assert changed_service(INFO, INFO) == ""
    faster = INFO.model_copy(update={"max_batch_size": 3, "workers": 2})
    assert changed_service(INFO, faster) == f"max_batch_size {INFO.max_batch_size} -> 3, workers None -> 2"


def _with_note(onnx_file: bytes) -> bytes:
    """Return the same model as another file."""
    model = onnx.load_from_string(onnx_file)
    model.doc_string = "another"
    return bytes(model.SerializeToString())


def test_a_recipe_may_keep_its_samples_to_itself() -> None:
    """By default a real sample travels with the winner; a champion that has one is replaced where none is wanted."""
    encoder, test = make_encoder("text"), make_samples("text", seed=3)
    verdict = verdict_of(encoder, test, {})
    samples = encode(encoder, make_samples("text"))
    data = fingerprint(make_samples("text"), test)

    def crown(challenge: Challenge, reigning: Bundle | None, **serving: Any) -> Bundle:
        options = Serving.model_validate(serving)
        about = (encoder, data, QUICK, options, samples, test, "card")
        return crown_champion(verdict, challenge, reigning, *about, model_of(encoder))

    crowned = Challenge(replaces=True, reason="there was no champion")
    real = crown(crowned, None)
    example = read_example(real)
    assert example is not None and example.input in list(test.inputs)
    assert sample_of(real) == example.input
    assert read_example(crown(crowned, None, example="typical")) is None
    itself = Challenge(replaces=False, reason=ITSELF, champion_version="7")
    assert crown(itself, real) is real
    elsewhere = replace(real, info=real.info.model_copy(update={"execution": "CPUExecutionProvider,a=0"}))
    assert crown(itself, elsewhere) is elsewhere  # a run does not undo what another machine has shown
    assert crown(itself, elsewhere, max_batch_size=3).info.execution == "CPUExecutionProvider,a=0"
    assert crown(crowned, elsewhere).info.execution is None
    hidden = crown(itself, real, example="typical")
    assert read_example(hidden) is None
    assert "example real -> typical" in hidden.reason
