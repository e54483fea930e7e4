"""Weights from elsewhere make the network that they were trained as; nothing in their file is run."""

from __future__ import annotations

import copy
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.any_modality import make_encoder, make_samples
from safetensors.torch import save as save_safetensors

from thresher import modalities
from thresher.compression.data import CompressionData
from thresher.compression.network.prune_channels import PruneChannels, prune_channels
from thresher.errors import DataError
from thresher.kinds.built_in import MODELS
from thresher.kinds.record import ModalityKind, ModelKind
from thresher.kinds.registry import registry
from thresher.modalities.encoder import Encoder
from thresher.modalities.image.encoder import ImageEncoding
from thresher.modalities.outputs import ClassOutput, output_of
from thresher.modalities.samples import EncodedSamples
from thresher.models.imported.architecture import check_checkpoint
from thresher.models.imported.checkpoint import import_checkpoint
from thresher.models.imported.config import Checkpoint, ModelFile
from thresher.models.imported.findings import Imported
from thresher.models.network import Network, NetworkSpec

FIELDS = {"architecture": "cnn", "channels": (16, 32), "hidden": 32, "path": "weights"}


@pytest.fixture(scope="module")
def encoder(trained: Network, digits: Any) -> Encoder:
    torch.set_num_threads(1)
    return modalities.fit_encoder(digits.training, ImageEncoding())


def load(content: bytes, encoder: Encoder, digits: Any, **fields: Any) -> tuple[Network, Imported]:
    config = Checkpoint.model_validate({**FIELDS, **fields})
    return import_checkpoint(ModelFile("weights", content), config, encoder, (digits.training, digits.validation))


def pickled(value: Any, **options: Any) -> bytes:
    written = io.BytesIO()
    torch.save(value, written, **options)
    return written.getvalue()


def answers(network: Network, samples: EncodedSamples) -> np.ndarray:
    with torch.inference_mode():
        return np.asarray(network.predict(torch.from_numpy(samples.inputs)))


def test_a_network_of_ours_comes_back_with_its_own_normalization(
    trained: Network, encoder: Encoder, digits: Any
) -> None:
    content = save_safetensors({name: weight.contiguous() for name, weight in trained.state_dict().items()})
    network, found = load(content, encoder, digits)
    expected = answers(trained.eval(), digits.validation)
    np.testing.assert_allclose(answers(network, digits.validation), expected, atol=1e-6)
    assert network.spec.input.mean == pytest.approx((78.0,)) and encoder.model_input.mean != (78.0,)  # type: ignore
    assert found.value == (expected.argmax(1) == digits.validation.labels).mean() and found.is_informative


@pytest.mark.parametrize("prefix", ["", "module.", "model.", "_orig_mod.module."])
@pytest.mark.parametrize("nested", [None, "state_dict"])
def test_prefixes_and_what_is_around_a_state_dict_are_left_out(
    trained: Network, encoder: Encoder, digits: Any, prefix: str, nested: str | None
) -> None:
    weights: Any = {f"{prefix}{name}": weight for name, weight in trained.body.state_dict().items()}
    content = pickled({"epoch": 3, nested: weights} if nested else weights)
    # (pixel / 255 - 78 / 255) / (96 / 255) is what the network was trained on.
    network, found = load(content, encoder, digits, mean=(78 / 255,), std=(96 / 255,))
    expected = answers(trained.eval(), digits.validation)
    np.testing.assert_allclose(answers(network, digits.validation), expected, atol=1e-5)
    assert found.takes == "weights of a cnn" + (f", each name without {prefix}" if prefix else "")


def test_halves_and_the_old_format_are_read(trained: Network, encoder: Encoder, digits: Any) -> None:
    weights = {name: weight.half() for name, weight in trained.body.state_dict().items() if weight.is_floating_point()}
    content = pickled(weights, _use_new_zipfile_serialization=False)
    network, _ = load(content, encoder, digits, mean=(78 / 255,), std=(96 / 255,))
    assert {weight.dtype for weight in network.parameters()} == {torch.float32}
    expected = answers(trained.eval(), digits.validation)
    np.testing.assert_allclose(answers(network, digits.validation), expected, atol=0.01)


def test_it_is_pruned_like_one_s_own(
    trained: Network, encoder: Encoder, digits: Any, compression_data: CompressionData
) -> None:
    network, _ = load(pickled(trained.body.state_dict()), encoder, digits)
    smaller = prune_channels(network, PruneChannels(ratio=0.5), compression_data)
    assert smaller.body.conv1.out_channels == 8  # type: ignore[union-attr]
    again = Network(smaller.spec)
    again.load_state_dict(smaller.state_dict())


def test_weights_of_another_network_are_named(trained: Network, encoder: Encoder, digits: Any) -> None:
    content = pickled(trained.body.state_dict())
    with pytest.raises(DataError) as caught:
        load(content, encoder, digits, channels=(16, 32, 64), hidden=40)
    text = str(caught.value)
    assert text.startswith(
        "weights: not the weights of this cnn: the architecture alone has: conv3.weight [64, 32, 3, 3], norm3.bias"
    )
    assert "of another shape: fc1.bias has [32], wanted is [40]" in text and "Fix: give model the fields" in text
    with pytest.raises(DataError, match=r"\], and \d+ more\. Fix"):
        load(content, encoder, digits, channels=(4, 4, 4), hidden=40)


@pytest.mark.parametrize("written", ["safetensors", "torch"])
def test_weights_of_another_network_are_named_before_any_data_is_read(trained: Network, written: str) -> None:
    weights = {f"module.{name}": weight.contiguous() for name, weight in trained.body.state_dict().items()}
    file = ModelFile("weights", save_safetensors(weights) if written == "safetensors" else pickled(weights))
    fields = {"architecture": "cnn", "path": "weights", "channels": [16, 32], "hidden": 32}
    check_checkpoint(file, Checkpoint.model_validate(fields), "image", "classification")
    with pytest.raises(DataError) as caught:
        check_checkpoint(file, Checkpoint.model_validate(fields | {"hidden": 40}), "image", "classification")
    assert "of another shape: fc1.bias has [32], wanted is [40]" in str(caught.value)
    with pytest.raises(DataError, match=r"the architecture alone has: .*; the file alone has: conv1.weight \["):
        other = {"architecture": "resnet", "path": "weights", "depth": 20}
        check_checkpoint(file, Checkpoint.model_validate(other), "image", "classification")


HAVE_CHECKPOINTS = [kind for kind in MODELS if kind.is_trained_here and kind.is_network and kind.name != "pretrained"]


@pytest.mark.parametrize("kind", HAVE_CHECKPOINTS, ids=lambda kind: kind.name)
def test_every_architecture_can_be_compared_before_data_is_read(kind: ModelKind) -> None:
    """What it comes to with data of its own is within what the check expects of it."""
    config = Checkpoint.model_validate({"architecture": kind.name, "path": "w"})
    for modality in kind.takes:
        given, _ = registry().find(ModalityKind, modality).class_of("model_input").probes()
        network = Network(NetworkSpec(model=config.network, input=given, output=ClassOutput(num_classes=7)))  # type: ignore[arg-type]
        weights = {name: weight.contiguous() for name, weight in network.body.state_dict().items()}
        file = ModelFile("weights", save_safetensors(weights))
        check_checkpoint(file, config, modality, "classification")
        without = {name: weight for name, weight in list(weights.items())[1:]}
        with pytest.raises(DataError, match="the architecture alone has"):
            check_checkpoint(ModelFile("weights", save_safetensors(without)), config, modality, "classification")


class Evil:
    """Runs a command when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def test_a_pickle_with_code_is_refused_and_not_run(
    trained: Network, encoder: Encoder, digits: Any, tmp_path: Path
) -> None:
    content = pickled({**trained.body.state_dict(), "more": Evil(tmp_path / "ran")})
    with pytest.raises(DataError, match=r"holds more than tensors, and reading it could run code.*Fix: save it as saf"):
        load(content, encoder, digits)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "neither safetensors nor a state dict"),
        (b"not weights at all", "neither safetensors nor a state dict"),
        (b"PK\x03\x04 a damaged archive", "could run code"),
        (pickled({"epoch": 3}), "holds no state dict of tensors alone"),
        (pickled([torch.ones(2)]), "holds no state dict of tensors alone"),
    ],
)
def test_what_holds_no_weights_is_refused(encoder: Encoder, digits: Any, content: bytes, says: str) -> None:
    with pytest.raises(DataError, match=rf"^weights: .*{says}.*Fix"):
        load(content, encoder, digits)


@pytest.mark.parametrize(("change", "says"), [(-1, "lacks 1 bytes of"), (1, "has 1 bytes beyond")])
def test_safetensors_that_were_cut_short_are_told_before_and_while_they_are_read(
    trained: Network, encoder: Encoder, digits: Any, change: int, says: str
) -> None:
    whole = save_safetensors({name: tensor.contiguous() for name, tensor in trained.body.state_dict().items()})
    content = whole[:change] if change < 0 else whole + b"x"
    with pytest.raises(DataError, match=f"^weights: {says} what its header says. Fix: copy the file again"):
        load(content, encoder, digits)
    with pytest.raises(DataError, match=f"^weights: {says} what its header says"):
        check_checkpoint(ModelFile("weights", content), Checkpoint.model_validate(FIELDS), "image", "classification")


def test_weights_that_are_not_finite_are_refused(trained: Network, encoder: Encoder, digits: Any) -> None:
    weights = copy.deepcopy(trained.body.state_dict())
    weights["fc2.bias"][0] = float("nan")
    with pytest.raises(DataError, match=r"fc2\.bias holds numbers that are not finite"):
        load(pickled(weights), encoder, digits)


@pytest.mark.parametrize("standardized", [False, True])
def test_a_regression_answers_in_the_labels_unit(standardized: bool) -> None:
    encoder = make_encoder("tabular", "regression")
    samples = modalities.encode(encoder, make_samples("tabular", "regression"))
    config = Checkpoint.model_validate(
        {"architecture": "mlp", "hidden": [4], "path": "w", "standardized": standardized}
    )
    torch.manual_seed(1)

    source = Network(NetworkSpec(model=config.network, input=encoder.model_input, output=output_of(samples))).eval()
    content = pickled(source.body.state_dict())
    network, found = import_checkpoint(ModelFile("w", content), config, encoder, (samples, samples))
    with torch.inference_mode():
        raw = source(torch.from_numpy(samples.inputs)).numpy()
    expected = raw * samples.labels.std() + samples.labels.mean() if standardized else raw
    np.testing.assert_allclose(answers(network, samples), expected, rtol=1e-4, atol=1e-4)
    assert found.metric == "rmse"


def kuangliu(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights of a ResNet-20 of ours by the names that most scripts for CIFAR give."""
    renamed = {}
    for name, weight in weights.items():
        block, _, rest = name.partition(".")
        number = int(block) - 3
        if number < 0:
            name = f"{('conv1', 'bn1')[int(block)]}.{rest}"
        elif number < 9:
            name = f"layer{1 + number // 3}.{number % 3}.{rest.replace('norm', 'bn')}"
        else:
            name = f"linear.{rest}"
        renamed[f"module.{name}"] = weight
    return renamed


@pytest.fixture(scope="module")
def resnet(encoder: Encoder, digits: Any) -> Network:
    torch.manual_seed(3)
    config = Checkpoint.model_validate({"architecture": "resnet", "depth": 20, "path": "w"})
    output = output_of(digits.training)
    return Network(NetworkSpec(model=config.network, input=encoder.model_input, output=output)).eval()


def load_resnet(content: bytes, encoder: Encoder, digits: Any, **fields: Any) -> tuple[Network, Imported]:
    config = Checkpoint.model_validate({"architecture": "resnet", "depth": 20, "path": "weights", **fields})
    check_checkpoint(ModelFile("weights", content), config, "image", "classification")
    return import_checkpoint(ModelFile("weights", content), config, encoder, (digits.training, digits.validation))


@pytest.mark.parametrize("safe", [False, True])
def test_other_names_are_matched_by_shape_and_order(resnet: Network, encoder: Encoder, digits: Any, safe: bool) -> None:
    """Safetensors has no order: with the order of numbers gone, layers that are alike leave a choice."""
    weights = kuangliu({name: weight.contiguous() for name, weight in resnet.body.state_dict().items()})
    if safe:
        with pytest.raises(DataError, match="not the weights of this resnet") as caught:
            load_resnet(save_safetensors(weights), encoder, digits)
        lines = str(caught.value).splitlines()
        assert [line.split() for line in lines[1:2]] == [["the", "file", "the", "architecture"]]
        assert any("bn1.bias [16]" in line and " [16]" in line.partition("]")[2] for line in lines)
        assert lines[-1].startswith("  as in: names: {")
        names = {
            "module.conv1.*": "0.*", "module.bn1.*": "1.*", "module.linear.*": "14.*",
            **{f"module.layer{1 + block // 3}.{block % 3}.bn*.*": f"{3 + block}.norm*.*" for block in range(9)},
            **{f"module.layer{1 + block // 3}.{block % 3}.*": f"{3 + block}.*" for block in range(9)},
        }  # fmt: skip
        network, found = load_resnet(save_safetensors(weights), encoder, digits, names=names)
        assert found.takes == "weights of a resnet, names as the recipe says"
    else:
        network, found = load_resnet(pickled(weights), encoder, digits)
        assert "names matched by shape and order, such as module.conv1.weight is 0.weight" in found.takes
    np.testing.assert_array_equal(answers(network, digits.validation), answers(resnet, digits.validation))


def test_layers_that_are_alike_are_never_exchanged(encoder: Encoder, digits: Any, resnet: Network) -> None:
    """The second convolution of a block before its first: by shape and order they would be taken for each other."""
    names = list(kuangliu(dict(resnet.body.state_dict())).items())
    first, second = (next(i for i, (name, _) in enumerate(names) if f"layer1.0.conv{n}" in name) for n in (1, 2))
    names[first], names[second] = names[second], names[first]
    with pytest.raises(DataError, match="not the weights of this resnet"):
        load_resnet(pickled(dict(names)), encoder, digits)


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ({"bn9.*": "1.*"}, r"model\.names: the file has no 'bn9\.\*'"),
        ({"conv1.*": "0.weight"}, r"model\.names: 'conv1\.\*' and '0\.weight' need as many \* each"),
        ({"fc1.bias": "same", "fc2.bias": "same"}, r"fc1\.bias and fc2\.bias would both be same"),
    ],
)
def test_names_that_mean_nothing_are_an_error(
    names: dict[str, str], says: str, trained: Network, encoder: Encoder, digits: Any
) -> None:
    with pytest.raises(DataError, match=says):
        load(pickled(trained.body.state_dict()), encoder, digits, names=names)
