"""The sample that a service shows how to call it with is real, and its answer is right."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.any_modality import MODALITIES, TASKS, make_encoder, make_samples
from helpers.tiny_onnx import make_sum_onnx

from thresher.evaluation.runtime import open_session, predict
from thresher.modalities.samples import Samples
from thresher.pipelines.package.example import choose_example


@pytest.mark.parametrize("modality", MODALITIES)
@pytest.mark.parametrize("task", TASKS)
def test_the_best_answered_sample_is_chosen(modality: str, task: str) -> None:
    encoder, samples = make_encoder(modality, task), make_samples(modality, task, seed=3)
    onnx_file = make_sum_onnx(encoder.model_input, len(encoder.class_names))
    outputs = predict(open_session(onnx_file, 1), encoder.encode(samples.inputs), encoder.model_input)
    example = choose_example(encoder, onnx_file, samples, 1)
    assert example is not None
    chosen = [index for index in range(len(samples)) if encoder.write_json(samples.inputs, index) == example.input]
    if encoder.class_names:
        right = outputs.argmax(axis=1) == samples.labels
        assert right[chosen].all()
        assert outputs[chosen[0]].max() == outputs[right].max()
        assert example.answer == samples.class_names[samples.labels[chosen[0]]]
    else:
        errors = np.abs(outputs[:, 0] - samples.labels)
        assert errors[chosen[0]] == errors.min()
        assert example.answer == samples.labels[chosen[0]]
    answered = predict(open_session(onnx_file, 1), encoder.encode_json(example.input), encoder.model_input)
    np.testing.assert_allclose(answered[0], outputs[chosen[0]], rtol=1e-6)


def test_without_a_right_answer_there_is_no_example() -> None:
    encoder, samples = make_encoder("image"), make_samples("image")
    onnx_file = make_sum_onnx(encoder.model_input, 3)
    outputs = predict(open_session(onnx_file, 1), encoder.encode(samples.inputs), encoder.model_input)
    wrong = Samples(samples.inputs, (outputs.argmax(axis=1) + 1) % 3, samples.class_names)
    assert choose_example(encoder, onnx_file, wrong, 1) is None
    large = Samples(np.zeros((2, 3, 64, 64), np.uint8), np.zeros(2, np.int64), samples.class_names)
    wide = encoder.model_copy(update={"channels": 3, "height": 64, "width": 64, "mean": (0.0,) * 3, "std": (1.0,) * 3})
    assert choose_example(wide, make_sum_onnx(wide.model_input, 3), large, 1) is None
