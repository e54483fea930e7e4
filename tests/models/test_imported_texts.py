"""A text graph of several inputs, exported elsewhere, answers what it answers with its own tokenizer's encoding."""

from __future__ import annotations

import io
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from helpers.pretrained_folders import TEXTS, WORDS, write_folder
from onnx import ModelProto, TensorProto, helper

from thresher.compression.data import CalibrationData
from thresher.compression.file.quantize_dynamic import QuantizeDynamic, quantize_dynamic
from thresher.compression.file.quantize_weights import QuantizeWeights, quantize_weights
from thresher.errors import DataError
from thresher.evaluation.quality import measure_quality
from thresher.evaluation.runtime import open_session, predict
from thresher.modalities import encode, fit_encoder, read_encoder, read_pretrained
from thresher.modalities.samples import EncodedSamples, Samples
from thresher.modalities.text.encoder import TextEncoder, TextEncoding
from thresher.models.imported.config import ModelFile, OnnxModel
from thresher.models.imported.findings import Imported
from thresher.models.imported.graph import import_graph
from thresher.models.pretrained.folder import read_folder
from thresher.serving.core.bundle import Bundle

sys.path.append(str(Path(__file__).parents[1] / "serving"))
from tiny_service import Caller, make_info

NAMES = ("input_ids", "attention_mask", "token_type_ids")
LENGTH = 24
RANDOM = np.random.default_rng(5)
TEXTS_32 = np.array(
    [*TEXTS, "good [PAD] film", *(" ".join(RANDOM.choice(WORDS, size=1 + n % 20)) for n in range(27))], dtype=object
)
SAMPLES = Samples(TEXTS_32, np.arange(32) % 2, ("bad", "good"))


def softmax(logits: np.ndarray) -> np.ndarray:
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponents / exponents.sum(axis=1, keepdims=True))


@dataclass(frozen=True)
class Theirs:
    """A classifier of transformers: its folder, and the ONNX file that torch exports of it."""

    folder: Path
    model: ModelProto

    @property
    def encoder(self) -> TextEncoder:
        read = read_folder(self.folder, with_weights=False, of_graph=True)
        encoder = read_pretrained(
            read.files, read.name, TextEncoding(tokenizer="pretrained", max_length=LENGTH), SAMPLES
        )
        assert isinstance(encoder, TextEncoder)
        return encoder

    @property
    def samples(self) -> EncodedSamples:
        return encode(self.encoder, SAMPLES)

    @property
    def expected(self) -> np.ndarray:
        """What the graph as it was exported answers to what transformers' tokenizer makes of the texts."""
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(self.folder, local_files_only=True)
        made = tokenizer(list(TEXTS_32), padding=True, truncation=True, max_length=LENGTH, return_token_type_ids=True)
        session = onnxruntime.InferenceSession(self.model.SerializeToString())
        given = {value.name: np.array(made[value.name], np.int64) for value in session.get_inputs()}
        return softmax(session.run(None, given)[0])

    def imported(self, model: ModelProto | None = None, **fields: Any) -> tuple[bytes, Imported]:
        file = ModelFile("theirs.onnx", (model or self.model).SerializeToString())
        config = OnnxModel.model_validate({"path": "theirs.onnx", "tokenizer": "theirs", **fields})
        return import_graph(file, config, self.encoder, (self.samples, self.samples))


def answers(content: bytes, tokens: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    assert [(value.name, value.type) for value in session.get_inputs()] == [("tokens", "tensor(int64)")]
    return np.asarray(session.run(["probabilities"], {"tokens": tokens})[0])


def export(folder: Path, names: tuple[str, ...], dynamo: bool = False) -> ModelProto:
    """Return what torch exports, by tracing as most files have come about, or by its newer exporter."""
    from transformers import AutoModelForSequenceClassification

    network = AutoModelForSequenceClassification.from_pretrained(folder, attn_implementation="eager").eval()
    with torch.no_grad():  # drawn as they are, its answers hardly differ
        for weights in network.parameters():
            weights.mul_(4)
    given = {name: torch.ones(2, 8, dtype=torch.int64) for name in names}
    written, named = io.BytesIO(), {"input_names": list(names), "output_names": ["logits"], "verbose": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("length", max=40)}
            program = torch.onnx.export(network, kwargs=given, dynamic_shapes=dict.fromkeys(names, axes), **named)
            assert program is not None
            program.save(written)
        else:
            free = {name: {0: "batch", 1: "length"} for name in names}
            torch.onnx.export(network, (given,), written, dynamo=False, dynamic_axes=free, **named)
    return onnx.load_from_string(written.getvalue())


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Theirs:
    folder = write_folder(tmp_path_factory.mktemp("bert") / "theirs", with_head=True)
    return Theirs(folder, export(folder, NAMES))


@pytest.fixture(scope="module")
def roberta(tmp_path_factory: pytest.TempPathFactory) -> Theirs:
    """It pads with token 1, and counts positions by it."""
    folder = write_folder(tmp_path_factory.mktemp("roberta") / "theirs", "roberta", with_head=True)
    return Theirs(folder, export(folder, NAMES[:2]))


def rewritten(
    model: ModelProto, names: dict[str, str], dtype: int = TensorProto.INT64, shape: tuple[int, int] | None = None
) -> ModelProto:
    """Return ``model`` with inputs called and typed otherwise, in the order of ``names``, each cast within."""
    changed = ModelProto()
    changed.CopyFrom(model)
    del changed.graph.input[:]
    del changed.graph.value_info[:]
    for place, (theirs, own) in enumerate(names.items()):
        changed.graph.input.append(helper.make_tensor_value_info(theirs, dtype, shape or ("n", "t")))
        if theirs != own or dtype != TensorProto.INT64:
            after = own if theirs != own else f"{own}_cast"
            changed.graph.node.insert(place, helper.make_node("Cast", [theirs], [after], f"cast_{place}", to=7))
            for node in changed.graph.node[place + 1 :] if theirs == own else ():
                node.input[:] = [after if name == own else name for name in node.input]
    return changed


SAME = dict.fromkeys(NAMES)
WRITTEN: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "as torch exports it": ({}, {}),
    "another order": ({"names": {name: name for name in reversed(NAMES)}}, {}),
    "int32": ({"names": {name: name for name in NAMES}, "dtype": TensorProto.INT32}, {}),
    "tensorflow": (
        {"names": dict(zip(("input_word_ids:0", "input_mask:0", "segment_ids:0"), NAMES, strict=True))},
        {},
    ),
    "a mask of numbers": ({"names": {name: name for name in NAMES}, "dtype": TensorProto.FLOAT}, {}),
    "names of nobody": (
        {"names": dict(zip("cab", NAMES, strict=True))},
        {"inputs": {"a": "mask", "b": "token_types", "c": "tokens"}},
    ),
    "one that the recipe names": (
        {"names": {"x": NAMES[0], "attention_mask": NAMES[1], "token_type_ids": NAMES[2]}},
        {"input_name": "x"},
    ),
    "a constant": ({}, {"constants": {"token_type_ids": 0}}),
    "a fixed length": ({"names": {name: name for name in NAMES}, "shape": (1, 32)}, {}),
}


@pytest.mark.parametrize("how", WRITTEN)
def test_answers_are_those_of_the_original_with_its_own_encoding(how: str, bert: Theirs) -> None:
    changes, fields = WRITTEN[how]
    content, found = bert.imported(rewritten(bert.model, **changes) if changes else None, **fields)
    expected = bert.expected
    assert expected.std(axis=0).min() > 0.01  # they tell texts apart
    together = answers(content, bert.samples.inputs)
    np.testing.assert_allclose(together, expected, atol=1e-5)
    for place in (0, 4, 7, 31):  # alone, without what the others' lengths fill it up with
        alone = bert.encoder.encode_json(TEXTS_32[place])
        np.testing.assert_allclose(answers(content, alone)[0], expected[place], atol=1e-5)
    assert ("by their names" in found.takes) == (how != "names of nobody")
    assert ": 1 up to the end" in found.takes.replace("as mask, ", ": ")


@pytest.mark.parametrize("shape", [None, (1, 32)])
def test_another_padding_token_fills_and_masks(shape: tuple[int, int] | None, roberta: Theirs) -> None:
    model = rewritten(roberta.model, {name: name for name in NAMES[:2]}, shape=shape)
    content, _ = roberta.imported(model)
    np.testing.assert_allclose(answers(content, roberta.samples.inputs), roberta.expected, atol=1e-5)


def test_positions_are_counted_from_0(bert: Theirs) -> None:
    nodes = [
        helper.make_node("Cast", ["a"], ["first"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["b"], ["second"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["first", "second"], ["both"]),
        helper.make_node("ReduceSum", ["both", "axis"], ["sum"], keepdims=1),
        helper.make_node("Concat", ["sum", "sum"], ["y"], axis=1),
    ]
    given = [helper.make_tensor_value_info(name, TensorProto.INT64, ("n", "t")) for name in "ab"]
    made = helper.make_tensor_value_info("y", TensorProto.FLOAT, ("n", 2))
    axis = helper.make_tensor("axis", TensorProto.INT64, [1], [1])
    graph = helper.make_graph(nodes, "g", given, [made], [axis])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    content, found = bert.imported(model, inputs={"a": "tokens", "b": "positions"})
    inner = onnx.load_from_string(content)
    inner.graph.output.append(helper.make_tensor_value_info("model.sum", TensorProto.FLOAT, None))
    del inner.graph.output[0]
    tokens = bert.samples.inputs
    (sums,) = onnxruntime.InferenceSession(inner.SerializeToString()).run(None, {"tokens": tokens})
    np.testing.assert_allclose(sums[:, 0], (tokens * np.arange(tokens.shape[1])).sum(axis=1))
    assert "b int64 [?, ?] as positions, 0, 1, 2 and so on" in found.takes


REFUSED: dict[str, tuple[dict[str, str], dict[str, Any], str]] = {
    "a name of nobody": (
        {"input_ids": NAMES[0], "attention_mask": NAMES[1], "x": NAMES[2]},
        {},
        r"takes input_ids int64 \[\?, \?\]; attention_mask int64 \[\?, \?\]; x int64 \[\?, \?\], and what is x\? .*"
        r"\{inputs: \{input_ids: tokens, attention_mask: mask, x: \?\}\}\. Allowed: tokens, mask, token_types or pos",
    ),
    "two of one": (
        {"input_ids": NAMES[0], "attention_mask": NAMES[1], "input_mask": NAMES[2]},
        {},
        "attention_mask and input_mask are both mask",
    ),
    "no tokens": ({name: name for name in NAMES}, {"inputs": {"input_ids": "positions"}}, "none of them is the tokens"),
    "no such input": (SAME, {"inputs": {"input_idz": "tokens"}}, "there is no input 'input_idz'. Did you mean 'input"),
    "no tokenizer": (SAME, {"tokenizer": None}, r"a tokenizer of its own.*Fix: model: \{tokenizer: FOLDER\}"),
    "too short": (
        {name: name for name in NAMES},
        {"shape": (1, 16)},
        "up to 24 long. Fix: data.encoding.max_length: 16",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_is_refused_with_what_to_write(what: str, bert: Theirs) -> None:
    names, fields, says = REFUSED[what]
    model = bert.model if names is SAME else rewritten(bert.model, names, shape=fields.get("shape"))
    with pytest.raises(DataError, match=rf"(?s){says}"):
        bert.imported(model, **{key: value for key, value in fields.items() if key != "shape"})


def test_a_text_longer_than_the_graph_has_places_for_is_refused_though_no_sample_is(bert: Theirs) -> None:
    encoder = bert.encoder.from_files(
        read_folder(bert.folder, False).files, "theirs", TextEncoding(tokenizer="pretrained", max_length=60), SAMPLES
    )
    samples = encode(encoder, SAMPLES)
    assert samples.inputs.shape[1] < 44
    file = ModelFile("theirs.onnx", bert.model.SerializeToString())
    with pytest.raises(DataError, match=r"does not run on a text of 60 tokens.*max_length that it has places for"):
        import_graph(file, OnnxModel(path="theirs.onnx", tokenizer="theirs"), encoder, (samples, samples))


def test_more_tokens_than_the_table_has_rows_are_refused(bert: Theirs) -> None:
    texts = np.array([" ".join(f"w{number}" for number in range(200)), *TEXTS_32[:31]], dtype=object)
    raw = Samples(texts, SAMPLES.labels, SAMPLES.class_names)
    encoder = fit_encoder(raw, TextEncoding(max_length=24))
    samples = encode(encoder, raw)
    file = ModelFile("theirs.onnx", bert.model.SerializeToString())
    config = OnnxModel(path="theirs.onnx", constants={"attention_mask": 1, "token_type_ids": 0})
    with pytest.raises(DataError, match=r"has \d+ rows of embeddings, and the tokenizer makes tokens up to 2\d\d"):
        import_graph(file, config, encoder, (samples, samples))


@pytest.mark.parametrize("technique", ["quantize_dynamic", "quantize_weights"])
def test_it_is_quantized_like_one_s_own(technique: str, bert: Theirs) -> None:
    content, _ = bert.imported()
    data = CalibrationData("small", bert.encoder.model_input, bert.samples, 1)
    if technique == "quantize_dynamic":
        smaller = quantize_dynamic(content, QuantizeDynamic(), data)
    else:
        smaller = quantize_weights(content, QuantizeWeights(bits=8), data)
    assert len(smaller) < 0.8 * len(content)
    rounded, expected = answers(smaller, bert.samples.inputs), bert.expected
    assert 0 < np.abs(rounded - expected).mean() < 0.05


def test_it_is_judged_and_served_as_the_original_answers(bert: Theirs) -> None:
    content, _ = bert.imported()
    outputs = predict(open_session(content, 1), bert.samples.inputs, bert.encoder.model_input)
    quality = measure_quality(outputs, bert.expected, bert.samples.labels)
    right = (bert.expected.argmax(axis=1) == bert.samples.labels).mean()
    assert quality.figures["accuracy"] == pytest.approx(right)
    caller = Caller(Bundle(content, read_encoder(bert.encoder.model_dump_json()), make_info()))
    try:
        answer = caller("POST", "/predict", json={"texts": list(TEXTS_32)})
        assert answer.status_code == 200, answer.text
        served = [list(each["probabilities"].values()) for each in answer.json()["predictions"]]
        np.testing.assert_allclose(served, bert.expected, atol=1e-5)
    finally:
        caller.runner.close()


@pytest.mark.slow
@pytest.mark.parametrize("fields", [{}, {"constants": {"token_type_ids": 0}}])
def test_torch_s_newer_exporter_takes_lengths_from_any_input(fields: dict[str, Any], bert: Theirs) -> None:
    theirs = Theirs(bert.folder, export(bert.folder, NAMES, dynamo=True))
    content, _ = theirs.imported(**fields)
    np.testing.assert_allclose(answers(content, theirs.samples.inputs), theirs.expected, atol=1e-5)
