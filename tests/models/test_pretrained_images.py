"""Pretrained encoders of images of every family are trained, cut, exported and served as their folders have them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from helpers.other_process import answers_of_service
from helpers.pretrained_images import IMAGE_ENCODERS, NUM_BLOCKS, SIDE, write_image_folder
from torch import nn

from thresher.compression.data import CalibrationData
from thresher.compression.file.quantize_dynamic import QuantizeDynamic, quantize_dynamic
from thresher.compression.file.quantize_static import QuantizeStatic, quantize_static
from thresher.errors import DataError
from thresher.export import check_parity, export_onnx
from thresher.modalities import encode, read_pretrained
from thresher.modalities.image.encoder import ImageEncoder, ImageEncoding
from thresher.modalities.outputs import ClassOutput, ValueOutput
from thresher.modalities.samples import EncodedSamples, Samples
from thresher.models.network import Network
from thresher.models.pretrained.config import Freeze, Pretrained
from thresher.models.pretrained.families import FAMILIES, num_blocks
from thresher.models.pretrained.folder import read_folder
from thresher.models.start import build_start
from thresher.models.storage import load_network, save_network
from thresher.training import Training
from thresher.training.batches import load_batches
from thresher.training.execution import ChosenExecution
from thresher.training.optimizers import AdamW
from thresher.training.trainer import Trainer

CLASSES = ("dark", "left", "right")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pretrained_images")


def folder_of(folders: Path, model_type: str) -> Path:
    folder = folders / model_type
    return folder if folder.exists() else write_image_folder(folder, model_type)


@cache
def raw() -> Samples[np.ndarray]:
    """Grey pictures of 14x10 pixels: dark ones, and some that are light on one side."""
    generator = np.random.default_rng(1)
    pictures, labels = generator.integers(0, 60, (12, 1, 14, 10)), np.arange(12) % 3
    pictures[labels == 1, :, :, :5] += 150
    pictures[labels == 2, :, :, 5:] += 150
    return Samples(pictures.astype(np.uint8), labels, CLASSES)


def encoder_of(folder: Path) -> ImageEncoder:
    read = read_folder(folder, False)
    encoder = read_pretrained(read.files, read.name, ImageEncoding(), raw())
    assert isinstance(encoder, ImageEncoder)
    return encoder


def start(folder: Path, output: Any = None, **settings: Any) -> Network:
    model = Pretrained(path="anywhere", **settings)
    read = read_folder(folder, model.init == "weights")
    return build_start(model, encoder_of(folder).model_input, output or ClassOutput(num_classes=3), 1, read)


def samples_of(folder: Path) -> EncodedSamples:
    return encode(encoder_of(folder), raw())


def train(network: Network, samples: EncodedSamples, steps: int = 1) -> Network:
    config = Training(optimizer=AdamW(lr=0.01, weight_decay=0), batch_size=12)
    execution = ChosenExecution(channels_last=False, compile=False, threads=1)
    trainer = Trainer(network.train(), config, execution, samples.labels, torch.device("cpu"), 12)
    for _ in range(steps):
        (batch,) = load_batches(samples, network.spec, torch.device("cpu")).in_slices(12)
        trainer.learn(batch)
    trainer.keep_as_best()
    return trainer.result()


def weights_of(network: Network) -> dict[str, torch.Tensor]:
    return dict(network.body.named_parameters())


@torch.no_grad()
def answers(network: Network, samples: EncodedSamples) -> torch.Tensor:
    made: torch.Tensor = network.eval()(torch.from_numpy(samples.inputs))
    return made


@pytest.mark.parametrize("model_type", IMAGE_ENCODERS)
def test_every_family_is_read_trained_and_stored(model_type: str, folders: Path, tmp_path: Path) -> None:
    folder = folder_of(folders, model_type)
    samples = samples_of(folder)
    assert samples.inputs.shape == (12, 3, SIDE, SIDE)
    before = start(folder)
    network = train(before, samples)
    first, after = weights_of(before), weights_of(network)
    assert all(not torch.equal(weight, first[name]) for name, weight in after.items() if "classifier" in name)
    save_network(network, tmp_path)
    assert torch.equal(answers(load_network(tmp_path), samples), answers(network, samples))


@pytest.mark.parametrize("model_type", IMAGE_ENCODERS)
def test_the_encoder_answers_as_transformers_does_of_the_same_folder(model_type: str, tmp_path: Path) -> None:
    from transformers import AutoModelForImageClassification

    folder = write_image_folder(tmp_path / "theirs", model_type, with_head=True)
    network = start(folder, ClassOutput(num_classes=5))  # as wide as the folder's: its head is kept
    samples = samples_of(folder)
    theirs: Any = AutoModelForImageClassification.from_pretrained(folder, local_files_only=True).eval()
    (pixels,) = network.prepare(torch.from_numpy(samples.inputs))
    with torch.no_grad():
        expected = theirs(pixel_values=pixels).logits
    torch.testing.assert_close(answers(network, samples), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("model_type", IMAGE_ENCODERS)
def test_the_parts_of_an_encoder_have_the_names_of_its_family(model_type: str, folders: Path) -> None:
    folder, family = folder_of(folders, model_type), FAMILIES[model_type]
    network = start(folder, freeze=Freeze(embeddings=True, blocks=1), layer_decay=0.5)
    count = NUM_BLOCKS.get(model_type, 2)
    assert num_blocks(json.loads((folder / "config.json").read_text())) == count
    factors = {name.removeprefix(f"body.model.{family.base}."): rate for name, rate in network.rate_factors().items()}
    assert factors[family.stem] == 0
    blocks = [rate for name, rate in factors.items() if name.startswith(f"{family.blocks}.0.")]
    assert blocks and not any(blocks)
    last = {rate for name, rate in factors.items() if name.startswith(f"{family.blocks}.{count - 1}.")}
    assert last == {0.5}
    assert {rate for name, rate in factors.items() if "classifier" in name} == {1.0}


SLOW = (pytest.param(name, marks=pytest.mark.slow) for name in IMAGE_ENCODERS if name != "resnet")


@pytest.mark.parametrize("model_type", ["resnet", *SLOW])
def test_every_family_is_exported_and_quantized(model_type: str, folders: Path) -> None:
    folder = folder_of(folders, model_type)
    samples = samples_of(folder)
    network = train(start(folder), samples, steps=5)
    content = export_onnx(network)
    assert check_parity(network, content, np.asarray(samples.inputs)) < 1e-4
    data = CalibrationData("int8", network.spec.input, samples, 1)
    exact = run(content, samples)
    for smaller in (
        quantize_static(content, QuantizeStatic(calibration_samples=12), data),
        quantize_dynamic(content, QuantizeDynamic(), data),
    ):
        assert int8_kernels(smaller) >= int8_kernels(content) + 1 and np.abs(run(smaller, samples) - exact).mean() < 0.1


def int8_kernels(content: bytes) -> int:
    """Return how many matrices and kernels of the file are of 8 bits."""
    kinds = (onnx.TensorProto.INT8, onnx.TensorProto.UINT8)
    return sum(
        each.data_type in kinds and len(each.dims) > 1 for each in onnx.load_from_string(content).graph.initializer
    )


def run(content: bytes, samples: EncodedSamples) -> np.ndarray:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    assert [given.name for given in session.get_inputs()] == ["image"]
    return np.asarray(session.run(None, {"image": samples.inputs})[0])


def test_a_regression_has_a_head_of_one_value(folders: Path) -> None:
    network = start(folder_of(folders, "mobilenet_v2"), ValueOutput(mean=3.0, std=2.0), init="random")
    assert answers(network, samples_of(folder_of(folders, "mobilenet_v2"))).shape == (12, 1)


def test_frozen_parts_keep_their_statistics_too(folders: Path) -> None:
    folder = folder_of(folders, "resnet")
    before = start(folder, freeze=Freeze(embeddings=True, blocks=1))
    kept = {name: tensor.clone() for name, tensor in before.body.named_buffers()}
    after = train(before, samples_of(folder))
    moved = {name for name, tensor in after.body.named_buffers() if not torch.equal(tensor, kept[name])}
    assert moved and not any(".embedder." in name or ".stages.0." in name for name in moved)


def test_what_tensorflow_keeps_is_not_what_torch_forgets(folders: Path) -> None:
    for model_type in ("mobilenet_v1", "mobilenet_v2", "efficientnet"):
        layers = start(folder_of(folders, model_type)).modules()
        assert {layer.momentum for layer in layers if isinstance(layer, nn.BatchNorm2d)} == {0.1}
    dropouts = [
        layer.p for layer in start(folder_of(folders, "mobilenet_v1")).modules() if isinstance(layer, nn.Dropout)
    ]
    assert dropouts == [pytest.approx(0.001)]


def test_a_large_share_that_a_vit_drops_is_what_its_config_says(tmp_path: Path) -> None:
    folder = write_image_folder(tmp_path / "vit", "vit", hidden_dropout_prob=0.6)
    assert {layer.p for layer in start(folder).modules() if isinstance(layer, nn.Dropout)} >= {0.6}


def test_weights_of_another_network_are_told_by_name(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = write_image_folder(tmp_path / "theirs", "resnet")
    weights = load_file(folder / "model.safetensors")
    del weights["encoder.stages.1.layers.0.layer.0.convolution.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(DataError, match=r"alone has: resnet\.encoder\.stages\.1\.layers\.0\.layer\.0\.convolution"):
        start(folder)


SERVED = """
print(json.dumps(session.run(None, {"image": encoder.encode_file(Path(sys.argv[3]).read_bytes())})[0].tolist()))
"""


def test_the_service_needs_neither_torch_nor_transformers(folders: Path, tmp_path: Path) -> None:
    from PIL import Image

    folder = folder_of(folders, "resnet")
    encoder, network = encoder_of(folder), start(folder).eval()
    picture = np.random.default_rng(2).integers(0, 256, (61, 40, 3)).astype(np.uint8)
    Image.fromarray(picture).save(tmp_path / "picture.jpg")
    (answers,) = answers_of_service(SERVED, encoder, export_onnx(network), str(tmp_path / "picture.jpg"), tmp_path)
    with torch.inference_mode():
        expected = network.predict(torch.from_numpy(encoder.encode_file((tmp_path / "picture.jpg").read_bytes())))
    np.testing.assert_allclose(answers, expected.numpy(), atol=1e-5)
