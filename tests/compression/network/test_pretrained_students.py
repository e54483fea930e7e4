"""A student may be a pretrained encoder of a folder of its own, or its architecture alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.pretrained_folders import TEXTS, write_folder
from helpers.pretrained_images import write_image_folder

from thresher.candidate_failure import CandidateFailure
from thresher.compression.candidate import NamedCandidate
from thresher.export import check_parity, export_onnx
from thresher.modalities import AnyEncoder, encode, fit_encoder, read_pretrained
from thresher.modalities.image.encoder import ImageEncoding
from thresher.modalities.outputs import ClassOutput
from thresher.modalities.samples import EncodedSamples, Samples
from thresher.modalities.text.encoder import TextEncoding
from thresher.models import Model
from thresher.models.lenet import LeNet
from thresher.models.network import Network
from thresher.models.pretrained.config import Pretrained
from thresher.models.pretrained.folder import read_folder
from thresher.models.start import build_start
from thresher.models.storage import load_network, save_network
from thresher.models.transformer.config import Transformer
from thresher.pipelines.compress.nodes import compress_network
from thresher.training import Training
from thresher.training.checkpoints import Checkpoints
from thresher.training.execution import ChosenExecution

PATH = "data/01_raw/small"
RAW = Samples(np.array(TEXTS, dtype=object), np.array([1, 0, 1, 0]), ("bad", "good"))
OUTPUT = ClassOutput(num_classes=2)


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("teacher") / "big", sizes={"num_hidden_layers": 3})


def own_encoder(folder: Path) -> AnyEncoder:
    files = read_folder(folder, False)
    return read_pretrained(files.files, files.name, TextEncoding(tokenizer="pretrained", max_length=12), RAW)


def teacher(model: Model, encoder: AnyEncoder, folder: Path | None = None) -> Network:
    read = read_folder(folder, True) if folder is not None else None
    return build_start(model, encoder.model_input, OUTPUT, 1, read).eval()


def distill(base: Network, encoder: AnyEncoder, samples: EncodedSamples, folder: Path, **settings: Any) -> Any:
    """Return what the node makes of a candidate with a student of ``folder``."""
    init = settings.pop("init", "weights")
    student = {"kind": "pretrained", "path": PATH, "init": init}
    step = {"kind": "distill", "student": student, "epochs": 2, "lr": 0.001, **settings}
    candidate = NamedCandidate.model_validate({"name": "small", "steps": [step]})
    training = Training.model_validate({"optimizer": {"kind": "adamw"}, "batch_size": 4, "keep": "last"})
    run = (ChosenExecution(channels_last=False, compile=False, threads=1), Checkpoints(folder.parent / "checkpoints"))
    read = read_folder(folder, init == "weights")
    return compress_network(base, encoder, samples, samples, candidate, training, *run, read)


def test_weights_of_another_folder_learn_from_a_teacher_of_the_same_tokens(big: Path, tmp_path: Path) -> None:
    encoder = own_encoder(big)
    samples, base = encode(encoder, RAW), teacher(Pretrained(path="big"), encoder, big)
    small = write_folder(tmp_path / "small", "distilbert", sizes={"n_layers": 1})
    with torch.no_grad():
        base.output_layer().weight.mul_(50)  # so that it has an opinion of its own on each text
    begins = teacher(Pretrained(path=PATH), encoder, small)
    student = distill(base, encoder, samples, small, epochs=40, lr=0.003, weight=1.0)
    assert student.spec.model.architecture["model_type"] == "distilbert"
    assert student.spec.input == base.spec.input
    inputs = torch.from_numpy(samples.inputs)
    with torch.inference_mode():
        before, after = ((base.predict(inputs) - network.predict(inputs)).abs().max() for network in (begins, student))
    assert after < 0.2 * before, (before, after)
    places = "body.model.distilbert.embeddings.position_embeddings.weight"
    rest = [network.state_dict()[places][20:] for network in (student, begins)]  # which no text reaches, but for decay
    torch.testing.assert_close(*rest, rtol=0.01, atol=0)
    save_network(student, tmp_path / "network")
    rebuilt = load_network(tmp_path / "network")
    assert check_parity(rebuilt, export_onnx(student), samples.inputs) < 1e-4


@pytest.mark.parametrize("model_type", ["bert", "roberta"])
def test_an_architecture_alone_has_a_row_for_each_token_that_is_made(model_type: str, tmp_path: Path) -> None:
    encoder = fit_encoder(RAW, TextEncoding(max_length=12))
    base = teacher(Transformer(dimension=16, num_heads=2, num_layers=1, feed_forward=16), encoder)
    small = write_folder(tmp_path / "small", model_type)
    student = distill(base, encoder, encode(encoder, RAW), small, init="random")
    (table,) = [each for name, each in student.body.named_modules() if name.endswith("word_embeddings")]
    assert table.num_embeddings == encoder.model_input.vocabulary_size
    assert table.padding_idx == encoder.model_input.padding
    inputs = torch.from_numpy(encode(encoder, RAW).inputs)
    padded = torch.cat([inputs, torch.zeros(4, 3, dtype=torch.long)], dim=1)
    with torch.inference_mode():
        torch.testing.assert_close(student(inputs), student(padded))


def test_other_tokens_are_refused_by_name(big: Path, tmp_path: Path) -> None:
    encoder = own_encoder(big)
    samples, base = encode(encoder, RAW), teacher(Pretrained(path="big"), encoder, big)
    other = write_folder(tmp_path / "other", "roberta")
    failed = distill(base, encoder, samples, other)
    assert isinstance(failed, CandidateFailure)
    assert failed.reason.startswith("other: its weights know the tokens of its own tokenizer, which is not the recipe")
    assert "it differs in model, added_tokens" in failed.reason and "init: random" in failed.reason
    swapped = write_folder(tmp_path / "swapped")
    document = json.loads((swapped / "tokenizer.json").read_text())
    document["post_processor"].update(sep=["[CLS]", 2])
    (swapped / "tokenizer.json").write_text(json.dumps(document))
    assert "the tokens around a text" in distill(base, encoder, samples, swapped).reason
    assert isinstance(distill(base, encoder, samples, other, init="random", epochs=1), Network)


def test_pictures_of_another_size_are_refused_by_name(tmp_path: Path) -> None:
    pictures = np.random.default_rng(0).integers(0, 255, (4, 3, 24, 24)).astype(np.uint8)
    raw = Samples(pictures, np.array([1, 0, 1, 0]), ("dark", "light"))
    encoder = fit_encoder(raw, ImageEncoding())
    samples, base = encode(encoder, raw), teacher(LeNet(), encoder)
    vit = write_image_folder(tmp_path / "vit", "vit")
    failed = distill(base, encoder, samples, vit)
    assert failed.reason.startswith("vit: takes pictures of 32x32 pixels and 3 channels, and is given 24x24 pixels and")
    convolutions = write_image_folder(tmp_path / "resnet", "resnet")
    assert isinstance(distill(base, encoder, samples, convolutions, epochs=1), Network)
    (vit / "config.json").write_text(json.dumps({"model_type": "vit", "hidden_size": 32, "num_attention_heads": 4}))
    silent = distill(base, encoder, samples, vit, init="random")
    assert "distill: the encoder of vit cannot take what the recipe's encoder makes, [3, 24, 24]" in silent.reason
