"""An ONNX file from elsewhere takes what Thresher's encoder makes, and answers what its own library answered."""

from __future__ import annotations

import io
import os
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper
from sklearn.linear_model import LogisticRegression

from thresher import modalities
from thresher.compression.data import CalibrationData
from thresher.compression.file.quantize_static import QuantizeStatic, quantize_static
from thresher.errors import DataError
from thresher.modalities.encoder import Encoder
from thresher.modalities.image.encoder import ImageEncoding
from thresher.modalities.samples import EncodedSamples, Samples
from thresher.models.imported.config import ModelFile, OnnxModel
from thresher.models.imported.findings import Imported
from thresher.models.imported.graph import import_graph

Sizes = list[int | str]


@dataclass(frozen=True)
class Classifier:
    """A logistic regression over pixels in 0..1, and the digits that it is for."""

    encoder: Encoder
    samples: tuple[EncodedSamples, EncodedSamples]
    regression: LogisticRegression

    @property
    def expected(self) -> np.ndarray:
        """What scikit-learn answers to the validation samples."""
        return np.asarray(self.regression.predict_proba(flat(self.samples[1])))

    def write(
        self,
        shape: Sizes,
        dtype: int = TensorProto.FLOAT,
        reshape: tuple[int, ...] = (-1, 64),
        scale: float = 1.0,
        softmax: bool = False,
        opset: int = 18,
    ) -> ModelProto:
        """Return it as an exporter might: `x` of ``shape``, cast, scaled, reshaped and multiplied; `y` answers."""
        weights, bias = self.regression.coef_.T, self.regression.intercept_
        stored = {"weights": weights, "bias": bias, "scale": np.array(scale)}
        nodes = [
            helper.make_node("Cast", ["x"], ["float"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["float", "scale"], ["scaled"]),
            helper.make_node("Reshape", ["scaled", "shape"], ["flat"]),
            helper.make_node("Gemm", ["flat", "weights", "bias"], ["logits"], "dense"),
            helper.make_node(*(("Softmax", ["logits"], ["y"]) if softmax else ("Identity", ["logits"], ["y"]))),
        ]
        tensors = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in stored.items()]
        tensors.append(numpy_helper.from_array(np.array(reshape, np.int64), "shape"))
        given = helper.make_tensor_value_info("x", dtype, shape)
        answers = helper.make_tensor_value_info("y", TensorProto.FLOAT, [shape[0], 10])
        graph = helper.make_graph(nodes, "digits", [given], [answers], tensors)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)

    def imported(self, model: ModelProto, **fields: Any) -> tuple[bytes, Imported]:
        file = ModelFile("digits.onnx", model.SerializeToString())
        return import_graph(file, OnnxModel(path="digits.onnx", **fields), self.encoder, self.samples)

    def answers(self, content: bytes) -> np.ndarray:
        """Return what an imported file says to the validation samples."""
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        assert [(value.name, value.type) for value in session.get_inputs()] == [("image", "tensor(uint8)")]
        assert [(value.name, value.type) for value in session.get_outputs()] == [("probabilities", "tensor(float)")]
        return np.asarray(session.run(None, {"image": self.samples[1].inputs})[0])


def flat(samples: EncodedSamples) -> np.ndarray:
    return samples.inputs.reshape(len(samples), -1) / 255


@pytest.fixture(scope="module")
def digit(digits: Any) -> Classifier:
    encoder = modalities.fit_encoder(digits.training, ImageEncoding())
    samples = (modalities.encode(encoder, digits.training), modalities.encode(encoder, digits.validation))
    return Classifier(encoder, samples, LogisticRegression(max_iter=100).fit(flat(samples[0]), samples[0].labels))


@pytest.mark.parametrize(
    ("written", "fields"),
    [
        ({"shape": ["n", 64]}, {}),
        ({"shape": [1, 64]}, {}),
        ({"shape": [1, 8, 8, 1], "reshape": (1, 64)}, {}),
        ({"shape": [4, 1, 8, 8], "reshape": (4, -1)}, {}),
        # Paddle writes -1 for a length that is open; a batch of 0 is one as well.
        ({"shape": [-1, 1, 8, 8]}, {}),
        ({"shape": [-1, 1, -1, -1]}, {"layout": "channels_first"}),
        ({"shape": [0, 8, 8, 1]}, {}),
        ({"shape": ["n", 1, "h", "w"]}, {"layout": "channels_first"}),
        ({"shape": ["n", 8, 8]}, {}),
        ({"shape": ["n", 1, 8, 8], "softmax": True}, {}),
        ({"shape": ["n", 1, 8, 8], "softmax": True, "opset": 9}, {}),
        ({"shape": ["n", 1, 8, 8], "opset": 11}, {}),
        ({"shape": ["n", 1, 8, 8], "dtype": TensorProto.UINT8, "scale": 1 / 255}, {}),
        ({"shape": ["n", 1, 8, 8], "dtype": TensorProto.FLOAT16}, {}),
        ({"shape": ["n", 1, 8, 8], "dtype": TensorProto.DOUBLE, "scale": 1 / 255}, {"scale": 1}),
        ({"shape": ["n", 8, 8, 1], "scale": -0.5}, {"scale": 1 / 255, "mean": (1,), "std": (0.5,)}),
    ],
)
def test_layouts_types_batches_and_opsets_become_one_form(
    digit: Classifier, written: dict[str, Any], fields: dict[str, Any]
) -> None:
    content, found = digit.imported(digit.write(**written), **fields)
    if written.get("scale") == -0.5:  # (x - 1) / 0.5 * -0.5 is 1 - x
        expected = digit.regression.predict_proba(1 - flat(digit.samples[1]))
    else:
        expected = digit.expected
    tolerance = 2e-3 if written.get("dtype") == TensorProto.FLOAT16 else 1e-5
    np.testing.assert_allclose(digit.answers(content), expected, atol=tolerance)
    assert found.opset is not None and found.opset >= 13
    assert ("probabilities" if written.get("softmax") else "logits") in found.answers


def test_what_is_found_is_told(digit: Classifier) -> None:
    content, found = digit.imported(digit.write(["n", 64]))
    right = (digit.expected.argmax(1) == digit.samples[1].labels).mean()
    assert (found.metric, found.value) == ("accuracy", pytest.approx(right)) and right > 0.9
    assert found.is_informative and found.notes == ()
    assert found.takes == "takes x float32 [?, 64]" and len(found.sha256) == 64
    assert "dense" in [node.name for node in onnx.load_from_string(content).graph.node]


def test_a_model_no_better_than_guessing_is_doubted(digit: Classifier) -> None:
    _, found = digit.imported(digit.write(["n", 64], scale=0.0))
    assert not found.is_informative
    assert "no better than the most frequent class" in found.notes[0] and "scale" in found.notes[0]


def test_classes_are_put_into_the_data_s_order(digit: Classifier) -> None:
    model = digit.write(["n", 64])
    for tensor in model.graph.initializer:
        if tensor.name in ("weights", "bias"):
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor)[..., ::-1].copy(), tensor.name))
    content, _ = digit.imported(model, class_names=tuple("9876543210"))
    np.testing.assert_allclose(digit.answers(content), digit.expected, atol=1e-5)


def test_an_imported_model_is_quantized_like_one_s_own(digit: Classifier) -> None:
    content, _ = digit.imported(digit.write([1, 8, 8, 1], reshape=(1, 64)))
    data = CalibrationData("int8", digit.encoder.model_input, digit.samples[0], 1)
    quantized = quantize_static(content, QuantizeStatic(calibration_samples=64), data)
    assert "dense" in [node.name for node in onnx.load_from_string(content).graph.node]
    answers = digit.answers(quantized)
    assert not np.array_equal(answers, digit.expected)
    assert (answers.argmax(1) == digit.expected.argmax(1)).mean() > 0.95


def test_constant_inputs_and_one_of_several_outputs_are_named(digit: Classifier) -> None:
    model = digit.write(["n", 64])
    model.graph.input.append(helper.make_tensor_value_info("scale_by", TensorProto.FLOAT, [1]))
    model.graph.node[1].input[1] = "scale_by"
    model.graph.output.append(helper.make_tensor_value_info("scaled", TensorProto.FLOAT, ["n", 64]))
    with pytest.raises(DataError, match=r"takes 2 inputs: x float32 \[\?, 64\]; scale_by float32 \[1\]"):
        digit.imported(model, output_name="y")
    with pytest.raises(DataError, match=r"which of its outputs answers\? y float32 .*; scaled float32"):
        digit.imported(model, constants={"scale_by": 1.0})
    with pytest.raises(DataError, match=r"there is no output 'yy'\. .*Allowed: scaled, y"):
        digit.imported(model, constants={"scale_by": 1.0}, output_name="yy")
    content, _ = digit.imported(model, constants={"scale_by": 1.0}, output_name="y")
    np.testing.assert_allclose(digit.answers(content), digit.expected, atol=1e-5)


@pytest.mark.parametrize(
    ("written", "fields", "says"),
    [
        ({"shape": ["n", 3, 32, 32]}, {}, r"takes x float32 \[\?, 3, 32, 32\].*1x8x8.*Fix: give the images"),
        ({"shape": ["n", 65]}, {}, r"takes x float32 \[\?, 65\].*64 numbers"),
        ({"shape": ["n", "c", "h", "w"]}, {}, r"both layouts fit.*Fix: write layout"),
        ({"shape": ["n", 1, 8, 8]}, {"layout": "channels_last"}, r"channels_last does not fit.*layout: channels_first"),
        ({"shape": ["n", 1, 8, 8], "dtype": TensorProto.UINT8}, {"scale": 2}, "leave them out: it takes pixels"),
        ({"shape": ["n", 1, 8, 8]}, {"mean": (1, 2, 3)}, r"model\.mean: 3 values for 1 channels"),
        ({"shape": ["n", 1, 8, 8], "dtype": TensorProto.STRING}, {}, "Thresher cannot make that from numbers"),
        ({"shape": ["n", 1, 8, 8]}, {"output": "probabilities"}, "says probabilities, but it answers.*output: logits"),
        ({"shape": ["n", 1, 8, 8]}, {"class_names": tuple("abcdefghij")}, "differ in 0, 1, 2"),
        ({"shape": ["n", 1, 8, 8]}, {"input_name": "z"}, "there is no input 'z'. Allowed: x"),
        ({"shape": ["n", 1, 8, 8]}, {"constants": {"z": 1}}, "there is no other input 'z'"),
        ({"shape": ["n", 1, 8, 8], "opset": 99}, {}, "is in opset 99 of ai.onnx; at most"),
    ],
)
def test_what_does_not_fit_is_named(
    digit: Classifier, written: dict[str, Any], fields: dict[str, Any], says: str
) -> None:
    with pytest.raises(DataError, match=rf"(?s){says}"):
        digit.imported(digit.write(**written), **fields)


def test_another_number_of_classes_is_refused(digit: Classifier, digits: Any) -> None:
    few = [samples.take(samples.labels < 3) for samples in digit.samples]
    samples = tuple(EncodedSamples(one.inputs, one.labels, ("0", "1", "2")) for one in few)
    encoder = digit.encoder.model_copy(update={"class_names": ("0", "1", "2")})
    file = ModelFile("digits.onnx", digit.write(["n", 64]).SerializeToString())
    with pytest.raises(DataError, match="answers 10 classes, and the data has 3: 0, 1, 2"):
        import_graph(file, OnnxModel(path="digits.onnx"), encoder, samples)  # type: ignore[arg-type]


def test_a_batch_that_cannot_be_freed_is_named(digit: Classifier) -> None:
    model = digit.write([2, 64])
    # The mean over the batch: what it answers to one sample depends on the other.
    model.graph.node[-1].CopyFrom(helper.make_node("ReduceMean", ["logits"], ["mean"], axes=[0], keepdims=1))
    model.graph.node.append(helper.make_node("Add", ["logits", "mean"], ["y"]))
    model.opset_import[0].version = 17
    with pytest.raises(DataError, match=r"is fixed to a batch of 2 and gives other outputs.*free batch axis"):
        digit.imported(model)


def test_a_recurrent_layer_is_freed_of_its_states(digit: Classifier) -> None:
    """As torch exports one for a single image: states of zeros, and the batch in the middle of a shape."""
    random = np.random.default_rng(1)
    weights = {"w": (1, 64, 8), "r": (1, 64, 16), "dense": (16, 10)}
    stored: dict[str, np.ndarray] = {name: random.normal(size=shape) for name, shape in weights.items()}
    stored["zeros"] = np.zeros((1, 1, 16))
    shapes = {"rows": [1, 8, 8], "states": [8, 1, 16], "last": -1}
    nodes = [
        helper.make_node("Reshape", ["x", "rows"], ["by_row"]),
        helper.make_node("Transpose", ["by_row"], ["steps"], perm=[1, 0, 2]),
        helper.make_node("LSTM", ["steps", "w", "r", "", "", "zeros", "zeros"], ["every"], "lstm", hidden_size=16),
        helper.make_node("Reshape", ["every", "states"], ["all"]),
        helper.make_node("Gather", ["all", "last"], ["end"], axis=0),
        helper.make_node("MatMul", ["end", "dense"], ["y"]),
    ]
    tensors = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in stored.items()]
    tensors += [numpy_helper.from_array(np.array(value, np.int64), name) for name, value in shapes.items()]
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 8, 8])
    made = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 10])
    graph = helper.make_graph(nodes, "lstm", [given], [made], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    content, _ = digit.imported(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    images = (digit.samples[1].inputs / 255).astype(np.float32)
    logits = np.concatenate([session.run(None, {"x": image[None]})[0] for image in images])
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(digit.answers(content), expected, atol=1e-5)


def test_an_operator_of_nobody_is_named(digit: Classifier) -> None:
    model = digit.write(["n", 64])
    model.graph.node[3].domain = "my.company"
    model.opset_import.append(helper.make_opsetid("my.company", 1))
    with pytest.raises(DataError, match=r"does not know: my\.company\.Gemm.*without custom operators"):
        digit.imported(model)


@pytest.mark.parametrize("content", [b"", b"no model at all", b"\x00" * 100])
def test_what_is_no_onnx_file_is_refused(digit: Classifier, content: bytes) -> None:
    with pytest.raises(DataError, match=r"^it\.onnx: (not an ONNX file|an ONNX file without an operator).*Fix"):
        import_graph(ModelFile("it.onnx", content), OnnxModel(path="it.onnx"), digit.encoder, digit.samples)


def test_weights_beside_the_file_are_read_from_one_place_alone(digit: Classifier, tmp_path: Path) -> None:
    model = digit.write(["n", 64])
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, location="m.onnx.data", size_threshold=0)
    content, data = (tmp_path / "m.onnx").read_bytes(), (tmp_path / "m.onnx.data").read_bytes()
    config = OnnxModel(path="m.onnx")
    imported, _ = import_graph(ModelFile("m.onnx", content, data), config, digit.encoder, digit.samples)
    np.testing.assert_allclose(digit.answers(imported), digit.expected, atol=1e-5)
    with pytest.raises(DataError, match=r"its weights are in m\.onnx\.data"):
        import_graph(ModelFile("m.onnx", content), config, digit.encoder, digit.samples)
    with pytest.raises(DataError, match=r"n\.onnx: its weights are in m\.onnx\.data.*only as n\.onnx\.data"):
        import_graph(ModelFile("n.onnx", content, data), config, digit.encoder, digit.samples)


def test_two_classes_of_one_probability_and_scikit_learn_s_dictionaries(digit: Classifier) -> None:
    """`ZipMap` is how scikit-learn's converter writes probabilities, beside the labels."""
    few = [samples.take(samples.labels < 2) for samples in digit.samples]
    samples = tuple(EncodedSamples(one.inputs, one.labels, ("0", "1")) for one in few)
    regression = LogisticRegression(max_iter=100).fit(flat(few[0]), few[0].labels)
    encoder = digit.encoder.model_copy(update={"class_names": ("0", "1")})
    column = [regression.coef_.T.astype(np.float32), regression.intercept_.astype(np.float32)]
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["p"]),
        helper.make_node("ZipMap", ["p"], ["dictionaries"], domain="ai.onnx.ml", classlabels_int64s=[0]),
        helper.make_node("Cast", ["p"], ["label"], to=TensorProto.INT64),
    ]
    entry = helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, None))
    graph = helper.make_graph(
        nodes,
        "binary",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 64])],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, ["n", 1]),
            helper.make_value_info("dictionaries", helper.make_sequence_type_proto(entry)),
        ],
        [numpy_helper.from_array(value, name) for name, value in zip("wb", column, strict=True)],
    )
    opsets = [helper.make_opsetid("", 9), helper.make_opsetid("ai.onnx.ml", 1)]
    file = ModelFile("b.onnx", helper.make_model(graph, opset_imports=opsets, ir_version=5).SerializeToString())
    content, found = import_graph(file, OnnxModel(path="b.onnx"), encoder, samples)  # type: ignore[arg-type]
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    answers = session.run(None, {"image": samples[1].inputs})[0]
    np.testing.assert_allclose(answers, regression.predict_proba(flat(few[1])), atol=1e-5)
    assert "probabilities, by what it answers" in found.answers


@pytest.mark.slow
def test_a_keras_model_is_taken_as_keras_exports_it(
    digit: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "KERAS_BACKEND" not in os.environ:
        monkeypatch.setenv("KERAS_BACKEND", "torch")
    # Keras brings absl, whose log handler keeps the stderr that it finds and closes it when another test configures
    # logging: that of pytest, and no test of this process would pass after it.
    with redirect_stderr(io.StringIO()):
        import keras

    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(8, 3, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    training, validation = digit.samples
    images = [samples.inputs.transpose(0, 2, 3, 1).astype(np.float32) for samples in digit.samples]
    model.fit(images[0], training.labels, epochs=4, batch_size=32, verbose=0)
    model.export(str(tmp_path / "keras.onnx"), format="onnx", verbose=False)
    file = ModelFile("keras.onnx", (tmp_path / "keras.onnx").read_bytes())
    content, found = import_graph(file, OnnxModel(path="keras.onnx", scale=1), digit.encoder, digit.samples)
    np.testing.assert_allclose(digit.answers(content), model.predict(images[1], verbose=0), atol=1e-4)
    assert found.value > 0.6 and "probabilities" in found.answers
    data = CalibrationData("int8", digit.encoder.model_input, training, 1)
    int8 = digit.answers(quantize_static(content, QuantizeStatic(calibration_samples=64), data))
    assert (int8.argmax(1) == validation.labels).mean() > found.value - 0.05


def with_order(model: ModelProto, order: list[int]) -> ModelProto:
    """Return ``model`` with its answers in another order."""
    changed = ModelProto()
    changed.CopyFrom(model)
    changed.graph.node[-1].output[0] = "straight"
    changed.graph.initializer.append(numpy_helper.from_array(np.array(order, np.int64), "order"))
    changed.graph.node.append(helper.make_node("Gather", ["straight", "order"], ["y"], axis=1))
    return changed


@pytest.mark.oddity("Verdict", "a model from elsewhere whose classes stand in another order", "said, with the order")
@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4, 5, 6, 7, 9, 8], [9, 0, 1, 2, 3, 4, 5, 6, 7, 8]])
def test_classes_in_another_order_are_said_and_the_advice_mends_it(digit: Classifier, order: list[int]) -> None:
    straight = digit.write(["n", 64])
    _, right = digit.imported(straight)
    assert "another order" not in right.sentence
    _, found = digit.imported(with_order(straight, order))
    note = next(note for note in found.notes if "another order" in note)
    assert f"In its order the accuracy would be {right.value:.4f}" in note
    advice = tuple(note.partition("class_names: [")[2].rstrip("]").split(", "))
    _, mended = digit.imported(with_order(straight, order), class_names=advice)
    assert mended.value == right.value
    assert not mended.notes
    # Of a wrong order that the recipe says, too.
    _, wrong = digit.imported(straight, class_names=tuple(str(label) for label in order))
    assert f"class_names: [{', '.join('0123456789')}]" in " ".join(wrong.notes)


def test_a_model_that_guesses_is_not_said_to_have_another_order(digit: Classifier) -> None:
    model = digit.write(["n", 64])
    noise = np.random.default_rng(1).normal(size=(64, 10)).astype(np.float32)
    next(tensor for tensor in model.graph.initializer if tensor.name == "weights").CopyFrom(
        numpy_helper.from_array(noise, "weights")
    )
    assert "another order" not in digit.imported(model)[1].sentence


def test_the_validation_figure_of_an_imported_model_is_not_called_independent(digit: Classifier) -> None:
    _, found = digit.imported(digit.write(["n", 64]))
    count = len(digit.samples[1])
    assert f"on {count:,} samples of data.train, which it may have been trained on" in found.sentence


@pytest.mark.oddity("Verdict", "a model that answers a map for each image", "refused: one row of numbers is expected")
@pytest.mark.parametrize("shape", [[-1, 10, 8, 8], [-1, 8, 8, 10], [-1, 8, 8]])
def test_maps_are_no_classes(digit: Classifier, shape: list[int]) -> None:
    model = digit.write(["n", 64])
    tiles = helper.make_node("Tile", ["logits", "times"], ["many"])
    maps = helper.make_node("Reshape", ["many", "map"], ["y"])
    del model.graph.node[-1]
    model.graph.node.extend([tiles, maps])
    size = int(-np.prod(shape) // 10) or 1
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, max(1, size)], np.int64), "times"))
    model.graph.initializer.append(numpy_helper.from_array(np.array(shape, np.int64), "map"))
    model.graph.output[0].type.tensor_type.ClearField("shape")
    if shape == [-1, 8, 8]:  # 64 answers of 64 pixels
        model.graph.initializer.append(numpy_helper.from_array(np.eye(64, dtype=np.float32), "all"))
        del model.graph.node[-2:]
        model.graph.node.extend([helper.make_node("MatMul", ["flat", "all"], ["m"]),
                                 helper.make_node("Reshape", ["m", "map"], ["y"])])  # fmt: skip
    told = error_of(digit, model)
    assert f"answers {shape[1:]} for one sample: maps or sequences, as of a segmentation" in told
    assert "model.output_name" in told


def error_of(digit: Classifier, model: ModelProto) -> str:
    with pytest.raises(DataError) as caught:
        digit.imported(model)
    return str(caught.value)


def coloured(order: str) -> tuple[Encoder, tuple[EncodedSamples, EncodedSamples], ModelProto]:
    """Return red, green and blue images, and a model that takes [N, 3, 4, 4] in ``order`` and knows them apart."""
    generator = np.random.default_rng(3)
    labels = np.arange(120) % 3
    pixels = generator.integers(0, 90, (120, 3, 4, 4)).astype(np.uint8)
    pixels[np.arange(120), labels] += 120
    raw = Samples(pixels, labels.astype(np.int64), ("red", "green", "blue"))
    encoder = modalities.fit_encoder(raw, ImageEncoding())
    encoded = modalities.encode(encoder, raw)
    weights = np.eye(3, dtype=np.float32)[:: -1 if order == "bgr" else 1]
    nodes = [
        helper.make_node("ReduceMean", ["x", "axes"], ["means"], keepdims=0),
        helper.make_node("MatMul", ["means", "weights"], ["y"]),
    ]
    stored = [numpy_helper.from_array(np.array([2, 3]), "axes"), numpy_helper.from_array(weights.copy(), "weights")]
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 4, 4])
    answers = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])
    graph = helper.make_graph(nodes, "colours", [given], [answers], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return encoder, (encoded, encoded), model


@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_blue_first_is_said_by_the_recipe_and_noticed_where_it_is_not(order: str) -> None:
    encoder, samples, model = coloured(order)
    file = ModelFile("colours.onnx", model.SerializeToString())
    found = {
        said: import_graph(file, OnnxModel(path="colours.onnx", channel_order=said), encoder, samples)[1]
        for said in ("rgb", "bgr")
    }
    other = "bgr" if order == "rgb" else "rgb"
    assert found[order].value == 1.0 and not found[order].notes
    assert found[other].value < 0.5
    assert "With red and blue exchanged its accuracy is 1.0000 in place of 0.3333" in found[other].sentence


def test_grey_images_have_no_order_of_channels(digit: Classifier) -> None:
    with pytest.raises(DataError, match=r"channel_order: bgr is for 3 channels. Fix: leave channel_order out"):
        digit.imported(digit.write(["n", 1, 8, 8]), channel_order="bgr")
