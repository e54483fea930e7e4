"""Pretrained encoders of every family are trained, exported and served as they are read from their folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from helpers.other_process import answers_of_service
from helpers.pretrained_folders import ENCODERS, TEXTS, write_folder

from thresher.compression.data import CalibrationData, CompressionData
from thresher.compression.file.quantize_dynamic import QuantizeDynamic, quantize_dynamic
from thresher.compression.network.finetune import Finetune, finetune
from thresher.compression.network.prune_channels import PruneChannels, remove_channels
from thresher.compression.network.prune_weights import PruneWeights, prune_weights
from thresher.errors import DataError
from thresher.export import check_parity, export_onnx
from thresher.modalities import encode, read_pretrained
from thresher.modalities.outputs import ClassOutput, ValueOutput
from thresher.modalities.samples import EncodedSamples, Samples
from thresher.modalities.text.encoder import TextEncoder, TextEncoding
from thresher.models.network import Network
from thresher.models.pretrained.config import Freeze, Pretrained
from thresher.models.pretrained.folder import read_folder
from thresher.models.start import build_start
from thresher.models.storage import load_network, save_network
from thresher.training import Training
from thresher.training.execution import ChosenExecution
from thresher.training.optimizers import AdamW
from thresher.training.trainer import Trainer

CLASSES = ("bad", "good")
LABELS = np.array([1, 0, 1, 0])


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pretrained")


def folder_of(folders: Path, model_type: str) -> Path:
    folder = folders / model_type
    return folder if folder.exists() else write_folder(folder, model_type)


def encoder_of(folder: Path, max_length: int = 12) -> TextEncoder:
    read = read_folder(folder, False)
    encoding = TextEncoding(tokenizer="pretrained", max_length=max_length)
    encoder = read_pretrained(read.files, read.name, encoding, Samples(np.array(TEXTS, dtype=object), LABELS, CLASSES))
    assert isinstance(encoder, TextEncoder)
    return encoder


def start(folder: Path, output: Any = None, **settings: Any) -> Network:
    model = Pretrained(path="anywhere", **settings)
    read = read_folder(folder, model.init == "weights")
    return build_start(model, encoder_of(folder).model_input, output or ClassOutput(num_classes=2), 1, read)


def samples_of(encoder: TextEncoder) -> EncodedSamples:
    return encode(encoder, Samples(np.array(TEXTS, dtype=object), LABELS, CLASSES))


def train(network: Network, samples: EncodedSamples, steps: int = 1, lr: float = 0.01) -> Network:
    from thresher.training.batches import load_batches

    config = Training(optimizer=AdamW(lr=lr, weight_decay=0), batch_size=4)
    execution = ChosenExecution(channels_last=False, compile=False, threads=1)
    trainer = Trainer(network.train(), config, execution, samples.labels, torch.device("cpu"), 4)
    for _ in range(steps):
        (batch,) = load_batches(samples, network.spec, torch.device("cpu")).in_slices(4)
        trainer.learn(batch)
    trainer.keep_as_best()
    return trainer.result()


def weights_of(network: Network) -> dict[str, torch.Tensor]:
    return dict(network.body.named_parameters())


OTHERS = [name for name in ENCODERS if name != "bert"]


@pytest.mark.parametrize("model_type", ["bert", *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)])
def test_every_family_is_trained_stored_exported_and_quantized(model_type: str, folders: Path, tmp_path: Path) -> None:
    folder = folder_of(folders, model_type)
    encoder = encoder_of(folder)
    samples = samples_of(encoder)
    before = start(folder)
    network = train(before, samples, steps=3)
    assert any(not torch.equal(weight, weights_of(before)[name]) for name, weight in weights_of(network).items())
    save_network(network, tmp_path)
    stored = load_network(tmp_path)
    content = export_onnx(stored)
    assert check_parity(network, content, np.asarray(samples.inputs)) < 1e-4
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    assert [given.name for given in session.get_inputs()] == ["tokens"]
    # A text's answer does not depend on the others of its batch, nor on how far it is padded.
    (together,) = session.run(None, {"tokens": samples.inputs})
    for text, answers in zip(TEXTS, together, strict=True):
        (alone,) = session.run(None, {"tokens": encoder.encode_json(text)})
        np.testing.assert_allclose(alone[0], answers, atol=1e-5)
    smaller = quantize_dynamic(content, QuantizeDynamic(), CalibrationData("int8", encoder.model_input, samples, 1))
    (rounded,) = onnxruntime.InferenceSession(smaller).run(None, {"tokens": samples.inputs})
    assert len(smaller) < len(content) and np.abs(rounded - together).max() < 0.1


@pytest.mark.parametrize("model_type", ["bert", *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)])
def test_the_mean_of_all_families_tokens_is_stored_exported_and_cut(
    model_type: str, folders: Path, tmp_path: Path
) -> None:
    folder = folder_of(folders, model_type)
    encoder = encoder_of(folder)
    samples = samples_of(encoder)
    network = train(start(folder, pooling="mean"), samples, steps=2)
    assert not [name for name in weights_of(network) if "pooler" in name or "pre_classifier" in name]
    assert list(weights_of(network))[-2:] == ["model.classifier.weight", "model.classifier.bias"]
    save_network(network, tmp_path)
    content = export_onnx(load_network(tmp_path))
    assert check_parity(network, content, np.asarray(samples.inputs)) < 1e-4
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (together,) = session.run(None, {"tokens": samples.inputs})
    (alone,) = session.run(None, {"tokens": encoder.encode_json(TEXTS[0])})  # padding has no part in the mean
    np.testing.assert_allclose(alone[0], together[0], atol=1e-5)
    data = CompressionData("narrow", encoder.model_input, samples, samples, Training(), 1)
    smaller = remove_channels(network, PruneChannels(ratio=0.5), data)
    assert len(export_onnx(smaller)) < len(content)


def test_the_mean_is_that_of_the_last_hidden_states(folders: Path) -> None:
    folder = folder_of(folders, "bert")
    network, encoder = start(folder, pooling="mean").eval(), encoder_of(folder)
    tokens = torch.from_numpy(encoder.encode_json(TEXTS[0]))
    model = network.body.model
    with torch.no_grad():
        hidden = model.bert(input_ids=tokens).last_hidden_state
        expected = model.classifier(hidden.mean(dim=1))
        torch.testing.assert_close(network(tokens), expected)


def test_padding_beyond_the_reach_of_local_attention_spoils_nothing(folders: Path) -> None:
    folder = write_folder(folders / "deep", "modernbert", sizes={"num_hidden_layers": 4, "local_attention": 2})
    network, encoder = start(folder).eval(), encoder_of(folder)
    session = onnxruntime.InferenceSession(export_onnx(network), providers=["CPUExecutionProvider"])
    (together,) = session.run(None, {"tokens": samples_of(encoder).inputs})
    for text, answers in zip(TEXTS, together, strict=True):
        (alone,) = session.run(None, {"tokens": encoder.encode_json(text)})
        np.testing.assert_allclose(alone[0], answers, atol=1e-5)


def test_the_head_is_drawn_and_the_encoder_is_the_folders(folders: Path) -> None:
    from safetensors.torch import load_file

    folder = folder_of(folders, "bert")
    ours, theirs = weights_of(start(folder)), load_file(folder / "model.safetensors")
    assert len(theirs) > 30
    for name, weight in theirs.items():
        torch.testing.assert_close(ours[f"model.bert.{name}"], weight, rtol=0, atol=0)
    again, drawn = weights_of(start(folder)), weights_of(start(folder, init="random"))
    assert torch.equal(ours["model.classifier.weight"], again["model.classifier.weight"])
    assert not torch.equal(ours["model.bert.pooler.dense.weight"], drawn["model.bert.pooler.dense.weight"])


def test_nothing_is_printed_where_the_head_is_drawn(folders: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = folder_of(folders, "bert")
    capfd.readouterr()
    start(folder)
    assert capfd.readouterr() == ("", "")


def test_a_regression_has_a_head_of_one_value(folders: Path) -> None:
    network = start(folder_of(folders, "distilbert"), ValueOutput(mean=3.0, std=2.0))
    assert network.output_layer().out_features == 1


def test_frozen_parts_stay_and_others_learn_by_their_depth(folders: Path) -> None:
    folder = folder_of(folders, "bert")
    before = start(folder, freeze=Freeze(embeddings=True, blocks=1), layer_decay=0.5)
    after = weights_of(train(before, samples_of(encoder_of(folder))))
    moved = {name: (weight - weights_of(before)[name]).abs().max().item() for name, weight in after.items()}
    frozen = ("model.bert.embeddings.", "model.bert.encoder.layer.0.")
    assert all((size == 0) == name.startswith(frozen) for name, size in moved.items() if "key.bias" not in name)
    # One step of AdamW moves a weight by its rate.
    block, head = "model.bert.encoder.layer.1.output.dense.weight", "model.classifier.weight"
    assert moved[block] == pytest.approx(0.005, rel=0.01) and moved[head] == pytest.approx(0.01, rel=0.01)


@pytest.mark.parametrize("importance", ["taylor", "activations"])
def test_frozen_blocks_lose_channels_by_every_importance(importance: Any, folders: Path) -> None:
    folder = folder_of(folders, "bert")
    encoder = encoder_of(folder)
    samples = samples_of(encoder)
    network = train(start(folder, freeze=Freeze(embeddings=True, blocks=1)), samples)
    data = CompressionData("narrow", encoder.model_input, samples, samples, Training())
    smaller = remove_channels(network, PruneChannels(ratio=0.5, importance=importance), data)
    assert weights_of(smaller)["model.bert.encoder.layer.0.intermediate.dense.weight"].shape == (24, 32)
    frozen = [name for name, weight in weights_of(smaller).items() if not weight.requires_grad]
    assert frozen == [name for name, weight in weights_of(network).items() if not weight.requires_grad]


def test_weights_of_another_network_are_told_by_name(folders: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = write_folder(folders / "damaged")
    weights = load_file(folder / "model.safetensors")
    del weights["encoder.layer.1.output.dense.bias"]
    weights["encoder.layer.0.output.dense.weight"] = torch.zeros(32, 40)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(DataError) as caught:
        start(folder)
    said = str(caught.value)
    assert "the architecture alone has: bert.encoder.layer.1.output.dense.bias [32]" in said
    assert "bert.encoder.layer.0.output.dense.weight has [32, 40], wanted is [32, 48]" in said


SERVED = """
for text in json.loads(sys.argv[3]):
    print(json.dumps(session.run(None, {"tokens": encoder.encode_json(text)})[0].tolist()))
"""


def test_a_config_that_the_library_refuses_is_told(folders: Path) -> None:
    folder = write_folder(folders / "refused", "modernbert", num_hidden_layers=4)
    with pytest.raises(DataError, match=r"config.json: .*num_hidden_layers.*\(4\).*layer_types"):
        start(folder, init="random")


def test_the_service_needs_neither_torch_nor_transformers(folders: Path, tmp_path: Path) -> None:
    folder = folder_of(folders, "bert")
    encoder, network = encoder_of(folder), start(folder).eval()
    printed = answers_of_service(SERVED, encoder, export_onnx(network), json.dumps(TEXTS), tmp_path)
    answers = [line[0] for line in printed]
    with torch.inference_mode():
        expected = network.predict(torch.from_numpy(samples_of(encoder).inputs)).numpy()
    np.testing.assert_allclose(answers, expected, atol=1e-4)


def test_weights_are_pruned_and_stay_zero_while_it_is_finetuned(folders: Path) -> None:
    folder = folder_of(folders, "bert")
    encoder = encoder_of(folder)
    network, samples = start(folder), samples_of(encoder)
    config = Training(optimizer=AdamW(lr=0.01, weight_decay=0), batch_size=4)
    data = CompressionData("sparse", encoder.model_input, samples, samples, config)
    sparse = prune_weights(network, PruneWeights(sparsity=0.5), data)
    tuned = finetune(sparse, Finetune(epochs=2), data)
    zeros = {
        name: weight == 0
        for name, weight in weights_of(sparse).items()
        if (weight == 0).sum() > (weights_of(network)[name] == 0).sum()
    }
    assert len(zeros) >= 6
    for name, was_zero in zeros.items():
        assert bool((weights_of(tuned)[name][was_zero] == 0).all()), name
    assert any(not torch.equal(weight, weights_of(sparse)[name]) for name, weight in weights_of(tuned).items())
