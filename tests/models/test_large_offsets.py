"""What differs by little beside a large offset is learned and answered as if the offset were not there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
import pytest
import torch
from pyarrow import parquet

from thresher.compression.data import CalibrationData
from thresher.compression.file.float16 import Half, half
from thresher.compression.file.quantize_dynamic import QuantizeDynamic, quantize_dynamic
from thresher.compression.file.quantize_static import QuantizeStatic, quantize_static
from thresher.evaluation.runtime import open_session, predict
from thresher.export import check_parity, export_onnx
from thresher.modalities import encode
from thresher.modalities.encoder import Encoder
from thresher.modalities.outputs import output_of
from thresher.modalities.samples import EncodedSamples
from thresher.modalities.series.encoder import SeriesEncoder, SeriesEncoding
from thresher.modalities.tabular.encoder import TabularEncoder, TabularEncoding
from thresher.models import Model
from thresher.models.cnn1d.config import Cnn1d
from thresher.models.mlp import Mlp
from thresher.models.network import Network, NetworkSpec
from thresher.readers import ParquetSeries, TableFile
from thresher.training import Training
from thresher.training.loop import train
from thresher.training.optimizers import Adam

SECONDS_OF_TODAY = 1.7e9
NANOSECONDS_OF_TODAY = 1.7e18


def learn(
    encoder: Encoder, training: EncodedSamples, test: EncodedSamples, model: Model, epochs: int
) -> tuple[Network, bytes]:
    torch.set_num_threads(1)
    torch.manual_seed(1)
    network = Network(NetworkSpec(model=model, input=encoder.model_input, output=output_of(training)))
    config = Training(optimizer=Adam(lr=0.01), epochs=epochs, batch_size=32, seed=1)
    network = train(network, training, test, config, "float")[0]
    onnx_file = export_onnx(network)
    check_parity(network, onnx_file, test.inputs)
    return network, onnx_file


def moments(folder: Path, offset: float) -> tuple[Encoder, EncodedSamples, EncodedSamples]:
    x = np.random.default_rng(0).uniform(0, 100, 500)
    lines = "".join(f"{value:.4f},{offset + value:.4f}\n" for value in x)
    (folder / "moments.csv").write_text("x,when\n" + lines)
    place = {"file": "moments.csv", "path": str(folder), "test_share": 0.3, "seed": 1}
    splits = [TableFile(**place, label="when", regression=True, split=part) for part in ("train", "test")]
    training, test = (split.load() for split in splits)
    encoder = TabularEncoder.fit(training, TabularEncoding())
    return encoder, encode(encoder, training), encode(encoder, test)


def counters(folder: Path, offset: float, has_gaps: bool = False) -> tuple[Encoder, EncodedSamples, EncodedSamples]:
    """Return walks from ``offset`` on, whose class is whether they go up or down."""
    random, label = np.random.default_rng(0), np.arange(500) % 2
    walks = [np.cumsum(random.integers(-3, 4, 12) + (1 if up else -1)).astype(float) + offset for up in label]
    if has_gaps:
        for walk in walks:
            walk[random.integers(1, 11)] = np.nan
    noise = [random.normal(size=12).tolist() for _ in label]
    values = [[None if np.isnan(step) else step for step in walk] for walk in walks]
    table = pa.table({"v": values, "w": noise, "y": ["up" if up else "down" for up in label]})
    parquet.write_table(table, folder / "walks.parquet")
    splits = [
        ParquetSeries(
            file="walks.parquet", path=str(folder), channels=["v", "w"], label="y", split=part, test_share=0.3, seed=1
        )
        for part in ("train", "test")
    ]
    training, test = (split.load() for split in splits)
    encoder = SeriesEncoder.fit(training, SeriesEncoding())
    return encoder, encode(encoder, training), encode(encoder, test)


def rmse(onnx_file: bytes, encoder: Encoder, test: EncodedSamples) -> float:
    values = predict(open_session(onnx_file, 1), test.inputs, encoder.model_input)
    assert values.dtype == np.float64
    return float(np.sqrt(((values[:, 0] - test.labels) ** 2).mean()))


def accuracy(onnx_file: bytes, encoder: Encoder, test: EncodedSamples) -> float:
    answers = predict(open_session(onnx_file, 1), test.inputs, encoder.model_input)
    return float((answers.argmax(1) == test.labels).mean())


@pytest.mark.oddity(
    "Numbers", "labels with a large offset, such as moments of today in seconds", "as good as without the offset"
)
@pytest.mark.parametrize("offset", [0.0, SECONDS_OF_TODAY, -SECONDS_OF_TODAY])
def test_moments_are_predicted_as_if_they_began_at_zero(offset: float, tmp_path: Path) -> None:
    encoder, training, test = moments(tmp_path, offset)
    _, onnx_file = learn(encoder, training, test, Mlp(hidden=(16,)), 40)
    assert rmse(onnx_file, encoder, test) < 0.8  # float32 is 128 wide here
    data = CalibrationData("c", encoder.model_input, training, seed=1)
    for small in (
        quantize_dynamic(onnx_file, QuantizeDynamic(), data),
        quantize_static(onnx_file, QuantizeStatic(), data),
        half(onnx_file, Half(), data),
    ):
        assert rmse(small, encoder, test) < 4


@pytest.mark.oddity(
    "Numbers", "series with a large offset, such as counters, with gaps or without", "as good as without the offset"
)
@pytest.mark.parametrize("has_gaps", [False, True])
@pytest.mark.parametrize("offset", [0.0, SECONDS_OF_TODAY, 1e15])
def test_counters_are_told_apart_as_if_they_began_at_zero(offset: float, has_gaps: bool, tmp_path: Path) -> None:
    encoder, training, test = counters(tmp_path, offset, has_gaps)
    _, onnx_file = learn(encoder, training, test, Cnn1d(channels=(8, 8)), 12)
    assert accuracy(onnx_file, encoder, test) > 0.9
    data = CalibrationData("c", encoder.model_input, training, seed=1)
    for small in (
        quantize_dynamic(onnx_file, QuantizeDynamic(), data),
        quantize_static(onnx_file, QuantizeStatic(), data),
        half(onnx_file, Half(), data),
    ):
        assert accuracy(small, encoder, test) > 0.85


def test_a_request_keeps_what_training_saw(tmp_path: Path) -> None:
    encoder, _, test = counters(tmp_path, SECONDS_OF_TODAY)
    for sample in test.inputs[:5]:
        np.testing.assert_array_equal(encoder.encode_json(sample.tolist())[0], sample)


@pytest.mark.oddity("Numbers", "labels of 1e-140 to 1e90", "learned as if they were of the size of 1")
@pytest.mark.parametrize("scale", [1e-140, 1e-30, 1e30, 1e90])
def test_labels_may_be_of_any_scale(scale: float, tmp_path: Path) -> None:
    encoder, training, test = moments(tmp_path, 0.0)
    _, onnx_file = learn(encoder, scaled(training, scale), scaled(test, scale), Mlp(hidden=(16,)), 40)
    assert rmse(onnx_file, encoder, scaled(test, scale)) < 0.8 * scale
    assert onnx.load_from_string(onnx_file).graph.output[0].type.tensor_type.elem_type == onnx.TensorProto.DOUBLE


def scaled(samples: EncodedSamples, scale: float) -> EncodedSamples:
    return type(samples)(samples.inputs, samples.labels * scale, (), samples.places)
