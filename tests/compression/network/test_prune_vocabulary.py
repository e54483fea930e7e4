"""Tokens that the training split does not use lose their rows, and each takes the likest row that is left."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from helpers.pretrained_folders import write_folder
from torch import nn

from thresher.compression.data import CalibrationData, CompressionData
from thresher.compression.file.float16 import Half, half
from thresher.compression.file.optimize_graph import OptimizeGraph, optimize_graph
from thresher.compression.file.quantize_dynamic import QuantizeDynamic, quantize_dynamic
from thresher.compression.file.quantize_static import QuantizeStatic, quantize_static
from thresher.compression.network.finetune import Finetune, finetune
from thresher.compression.network.prune_channels import PruneChannels, prune_channels
from thresher.compression.network.prune_vocabulary import PruneVocabulary, prune_vocabulary
from thresher.compression.network.quantize_aware import QuantizeAware, quantize_aware
from thresher.errors import CompressionError
from thresher.events import Event, Step
from thresher.export import check_parity, export_onnx
from thresher.modalities.outputs import ClassOutput
from thresher.modalities.samples import Samples
from thresher.modalities.text.model_input import TextInput
from thresher.models import Model
from thresher.models.network import Network, NetworkSpec
from thresher.models.pretrained.config import Pretrained
from thresher.models.pretrained.folder import read_folder
from thresher.models.recurrent.config import Lstm
from thresher.models.start import build_start
from thresher.models.storage import check_storable, load_network, save_network
from thresher.models.textcnn.config import TextCnn
from thresher.models.transformer.config import Transformer
from thresher.models.vocabulary import SharedRows
from thresher.onnx_graph import VOCABULARY, read_note
from thresher.training import Training

TEXT = TextInput(vocabulary_size=40, max_length=8)
USED = np.array([2, 3, 5, 7, 11, 13, 17, 19, 23, 29])
MODELS = (
    TextCnn(dimension=8, num_filters=8),
    Lstm(dimension=8, hidden=8),
    Transformer(dimension=16, num_heads=2, num_layers=1, feed_forward=16),
)
ROBERTA = TextInput(vocabulary_size=261, max_length=8, padding=1, unknown=3, pads_within=True)
"""As the tiny folder's tokenizer makes them."""


def build(model: Model, text: TextInput = TEXT) -> Network:
    torch.manual_seed(1)
    return Network(NetworkSpec(model=model, input=text, output=ClassOutput(num_classes=2))).eval()


def draw(tokens: np.ndarray, text: TextInput = TEXT, count: int = 24) -> np.ndarray:
    """Return ``count`` texts of 3 to 8 of ``tokens``, padded; each of the first tokens is used."""
    random = np.random.default_rng(0)
    drawn = random.choice(tokens, (count, 8))
    drawn.ravel()[: 8 * count : 3][: len(tokens)] = tokens
    lengths = random.integers(3, 9, count)
    return np.where(np.arange(8) < lengths[:, None], drawn, text.padding).astype(np.int64)


def data_of(tokens: np.ndarray, text: TextInput = TEXT, validation: np.ndarray | None = None) -> CompressionData:
    training = Training.model_validate({"optimizer": {"kind": "adamw", "lr": 0.01}, "epochs": 1, "batch_size": 8})

    def samples(inputs: np.ndarray) -> Samples[np.ndarray]:
        return Samples(inputs, np.arange(len(inputs)) % 2, ("no", "yes"))

    validation = tokens if validation is None else validation
    return CompressionData("small", text, samples(tokens), samples(validation), training)


def answers(network: Network, tokens: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        found: np.ndarray = network.predict(torch.from_numpy(tokens)).numpy()
    return found


def table_of(network: Network) -> SharedRows:
    (table,) = (module for module in network.body.modules() if isinstance(module, SharedRows))
    return table


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.kind)
def test_what_is_used_stays_and_the_whole_chain_goes_on(model: Model, tmp_path: Path) -> None:
    network, tokens = build(model), draw(USED)
    data = data_of(tokens)
    smaller = prune_vocabulary(network, PruneVocabulary(), data)
    # Padding, the unknown token, and those that are used.
    assert table_of(smaller).rows.weight.shape[0] == 2 + len(USED)
    np.testing.assert_array_equal(answers(smaller, tokens), answers(network, tokens))
    tuned = finetune(prune_channels(smaller, PruneChannels(ratio=0.5), data), Finetune(epochs=1), data)
    check_storable(tuned, "small")
    save_network(tuned, tmp_path)
    stored = load_network(tmp_path)
    assert torch.equal(table_of(stored).row_of, table_of(smaller).row_of)
    assert not torch.equal(table_of(stored).rows.weight, table_of(smaller).rows.weight)
    onnx_file = export_onnx(stored)
    assert check_parity(stored, onnx_file, tokens) < 1e-4


def test_the_rows_that_are_left_are_quantized() -> None:
    tokens = draw(USED)
    data = data_of(tokens)
    smaller = prune_vocabulary(build(MODELS[2]), PruneVocabulary(), data)
    onnx_file = export_onnx(smaller)
    calibration = CalibrationData("small", TEXT, data.training_samples, 1)
    assert smaller.spec.kept_rows is not None
    note = smaller.spec.kept_rows.words
    dynamic = quantize_dynamic(onnx_file, QuantizeDynamic(), calibration)
    short = optimize_graph(dynamic, OptimizeGraph(level="none", short_names=True), calibration)
    halves = half(onnx_file, Half(), calibration)
    for other in (onnx_file, short, halves):
        assert read_note(other, VOCABULARY) == note
    for int8 in (short, quantize_static(onnx_file, QuantizeStatic(), calibration)):
        assert read_note(int8, VOCABULARY) == note
        (got,) = onnxruntime.InferenceSession(int8).run(None, {"tokens": tokens})
        assert np.abs(got - answers(smaller, tokens)).max() < 0.1
    rounded = quantize_aware(smaller, QuantizeAware(epochs=1), data)
    rounded_file = export_onnx(rounded)
    check_parity(rounded, rounded_file, tokens)
    assert read_note(rounded_file, VOCABULARY) == note


def test_a_token_without_a_row_has_the_likest_that_is_left() -> None:
    network, tokens = build(MODELS[0]), draw(USED)
    table = network.body.get_submodule("embedding").weight
    with torch.no_grad():
        table[30] = 2.5 * table[13]
        table[31] = -table[17] + 0.01 * table[5]
    smaller = prune_vocabulary(network, PruneVocabulary(), data_of(tokens))
    row_of = table_of(smaller).row_of
    assert row_of[30] == row_of[13]
    kept = [0, 1, *USED.tolist()]
    assert row_of[kept].tolist() == list(range(len(kept)))
    assert not (row_of[torch.tensor([token for token in range(40) if token not in kept])] == 0).any()
    spelled = np.array([[30, 2, 3]])
    np.testing.assert_array_equal(answers(smaller, spelled), answers(network, np.array([[13, 2, 3]])))


def test_padding_keeps_its_row_of_zeros_while_it_is_finetuned() -> None:
    tokens = draw(USED)
    smaller = prune_vocabulary(build(MODELS[0]), PruneVocabulary(), data_of(tokens))
    tuned = finetune(smaller, Finetune(epochs=1), data_of(tokens))
    assert not table_of(tuned).rows.weight[table_of(tuned).row_of[0]].any()


@pytest.mark.parametrize(
    ("keep_rare", "expected"),
    [
        (0, {0, 1, 2, 3, 5, 7}),
        (1, {0, 1, 2, 3, 5, 7, 31}),  # what occurs once is less rare than what does not
        (4, {0, 1, 2, 3, 4, 5, 6, 7, 8, 31}),
    ],
)
def test_of_rare_tokens_the_most_used_stay_then_the_first(keep_rare: int, expected: set[int]) -> None:
    tokens = draw(np.array([2, 3, 5, 7]))
    tokens[0, 0] = 31
    network = build(MODELS[0])
    smaller = prune_vocabulary(network, PruneVocabulary(min_count=2, keep_rare=keep_rare), data_of(tokens))
    shared = next(module for module in smaller.body.modules() if isinstance(module, SharedRows))
    before = next(module for module in network.body.modules() if isinstance(module, nn.Embedding)).weight
    own = {token for token in range(40) if torch.equal(shared.rows.weight[shared.row_of[token]], before[token])}
    assert own == expected


def test_where_all_rare_tokens_are_kept_nothing_is_left_to_remove() -> None:
    with pytest.raises(
        CompressionError, match=r"or is one of 100 others that are kept. Raise min_count, lower keep_rare"
    ):
        prune_vocabulary(build(MODELS[0]), PruneVocabulary(keep_rare=100), data_of(draw(USED)))


def test_rarer_tokens_go_with_a_higher_count() -> None:
    tokens = draw(USED)
    tokens[0, :3] = [31, 32, 32]
    counts = np.bincount(tokens.ravel(), minlength=40)
    smaller = prune_vocabulary(build(MODELS[0]), PruneVocabulary(min_count=2), data_of(tokens))
    assert table_of(smaller).rows.num_embeddings == 2 + (counts[2:] >= 2).sum()
    with pytest.raises(CompressionError, match=r"prune_vocabulary was applied already"):
        prune_vocabulary(smaller, PruneVocabulary(min_count=3), data_of(tokens))


def test_what_the_validation_split_lost_is_said(events: list[Event]) -> None:
    tokens = draw(USED)
    seen = np.array([[2, 3, 30, 0], [5, 1, 31, 31]])
    prune_vocabulary(build(MODELS[0]), PruneVocabulary(), data_of(tokens, validation=seen))
    (said,) = (event.text for event in events if isinstance(event, Step))
    assert said == (
        "prune_vocabulary keeps 12 of 40 rows of embedding; of the validation split's 7 tokens, 3 (42.86%) have the "
        "row of another"
    )


@pytest.mark.parametrize("model_type", ["bert", "roberta"])
def test_a_pretrained_encoder_loses_rows_and_answers_alike(model_type: str, tmp_path: Path) -> None:
    folder = read_folder(write_folder(tmp_path / model_type, model_type), True)
    text = ROBERTA if model_type == "roberta" else TextInput(vocabulary_size=60, max_length=8, pads_within=True)
    network = build_start(Pretrained(path="x"), text, ClassOutput(num_classes=2), 1, folder).eval()
    tokens = draw(USED, text)
    smaller = prune_vocabulary(network, PruneVocabulary(), data_of(tokens, text))
    assert table_of(smaller).rows.num_embeddings == 2 + (len(USED) if model_type == "bert" else len(USED) - 1)
    np.testing.assert_array_equal(answers(smaller, tokens), answers(network, tokens))
    check_storable(smaller, "small")
    assert check_parity(smaller, export_onnx(smaller), tokens) < 1e-4


def test_a_table_that_is_used_otherwise_too_is_refused() -> None:
    network, tokens = build(MODELS[0]), draw(USED)
    network.body.extra = nn.Linear(8, 40)
    network.body.extra.weight = network.body.get_submodule("embedding").weight
    with pytest.raises(CompressionError, match=r"embedding\.weight and extra\.weight are one tensor"):
        prune_vocabulary(network, PruneVocabulary(), data_of(tokens))


def test_where_every_row_is_used_it_says_so() -> None:
    tokens = draw(np.arange(2, 40), count=48)
    with pytest.raises(CompressionError, match=r"each of the 40 rows of embedding is used once or more in the"):
        prune_vocabulary(build(MODELS[0]), PruneVocabulary(), data_of(tokens))
