"""A student learns what its teacher's queries, keys and values say of each other (MiniLMv2)."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from helpers import pretrained_networks
from helpers.pretrained_images import IMAGE_ENCODERS
from helpers.pretrained_networks import TEXT, build

from thresher.compression.data import CompressionData
from thresher.compression.network.distill import DistillStudent, distill
from thresher.compression.network.finetune import Distill, Finetune, Relations, finetune
from thresher.compression.network.prune_channels import PruneChannels, prune_channels
from thresher.compression.network.relation_pair import pair_attention
from thresher.errors import CompressionError
from thresher.modalities.image.model_input import ImageInput
from thresher.modalities.outputs import ClassOutput
from thresher.modalities.samples import Samples
from thresher.models.network import Network, NetworkSpec
from thresher.models.pretrained.config import Pretrained
from thresher.models.storage import check_storable
from thresher.models.transformer.config import Transformer
from thresher.models.transformer.network import WATCH
from thresher.training.attention_relations import AttentionRelations, RelationPair, relations_apart

KNOWN = ["bert", "distilbert", "electra", "modernbert", "roberta", "xlm-roberta"]
SMALL = Transformer(dimension=24, num_heads=3, num_layers=2, feed_forward=16, dropout=0)
LONG = TEXT.model_copy(update={"max_length": 20})


def data() -> CompressionData:
    found: CompressionData = dataclasses.replace(pretrained_networks.data(), input=LONG)
    return found


def by_the_formula(student: np.ndarray, teacher: np.ndarray, heads: int, lengths: list[int]) -> float:
    """Return 1 / (A |x|) * sum over heads and steps of KL(teacher || student), of [P, H, T, E], as the paper has it."""
    total = 0.0
    for sample, length in enumerate(lengths):
        for head in range(heads):
            relations = []
            for vectors in (student, teacher):
                whole = np.concatenate(list(vectors[sample]), axis=1)[:length]  # [T, H * E]: the heads side by side
                width = whole.shape[1] // heads
                part = whole[:, head * width : (head + 1) * width]
                powers = np.exp(part @ part.T / math.sqrt(width))
                relations.append(powers / powers.sum(axis=1, keepdims=True))
            ours, theirs = relations
            total += float((theirs * np.log(theirs / ours)).sum()) / (heads * length)
    return total


def test_relations_are_compared_as_the_paper_has_it() -> None:
    random = np.random.default_rng(0)
    student, teacher = random.normal(size=(3, 2, 6, 12)), random.normal(size=(3, 8, 6, 4))
    lengths = [6, 4, 1]
    real = torch.tensor([[1.0] * length + [0.0] * (6 - length) for length in lengths])
    got = relations_apart(torch.tensor(student).float(), torch.tensor(teacher).float(), 4, real)
    assert float(got) == pytest.approx(by_the_formula(student, teacher, 4, lengths), rel=1e-4)
    whole = relations_apart(torch.tensor(student).float(), torch.tensor(teacher).float(), 4, None)
    assert float(whole) == pytest.approx(by_the_formula(student, teacher, 4, [6, 6, 6]), rel=1e-4)


def small_network() -> Network:
    torch.manual_seed(1)
    return Network(NetworkSpec(model=SMALL, input=LONG, output=ClassOutput(num_classes=4))).eval()


def apart(student: Network, teacher: Network, inputs: torch.Tensor) -> torch.Tensor:
    pair = pair_attention(student, teacher, None, data())
    relations = AttentionRelations(pair, student, teacher)
    student(inputs), teacher(inputs)
    found = relations.apart(inputs)
    relations.leave()
    return found


@pytest.mark.parametrize("family", KNOWN)
def test_padding_takes_no_part_and_gradients_reach_the_student(family: str) -> None:
    student, teacher, inputs = small_network(), build(family), torch.tensor([[3, 4, 5, 6], [7, 8, 9, 2]])
    padded = torch.cat([inputs, torch.zeros(2, 3, dtype=torch.long)], dim=1)
    plain = apart(student, teacher, inputs)
    torch.testing.assert_close(plain, apart(student, teacher, padded), rtol=1e-4, atol=1e-6)
    plain.backward()
    gradient = student.body.get_submodule("blocks.1.query_key_value").weight.grad
    assert isinstance(gradient, torch.Tensor) and all(bool(part.abs().sum() > 0) for part in gradient.chunk(3))


def test_the_last_attention_of_both_is_compared_in_as_many_heads_as_divide_both_widths() -> None:
    teacher, student = build("bert"), small_network()
    last = "model.bert.encoder.layer.1.attention.self"
    assert pair_attention(student, teacher, None, data()) == RelationPair("blocks.1", last, 2)  # 24 and 32: 8 or less
    assert pair_attention(student, teacher, 8, data()).heads == 8
    with pytest.raises(CompressionError, match=r"heads is 3, which does not divide .* 24, 32\. Allowed: 1, 2, 4, 8\."):
        pair_attention(student, teacher, 3, data())
    narrow = prune_channels(build("bert"), PruneChannels(ratio=0.5), data())
    assert pair_attention(narrow, teacher, None, data()).heads == 2


@pytest.mark.parametrize("family", ["deberta", "deberta-v2"])
def test_attention_that_is_not_known_is_refused_before_training(family: str) -> None:
    step = DistillStudent(student=SMALL, relations=Relations())
    with pytest.raises(CompressionError, match=f"those of a {family} are not known. Allowed: transformer"):
        distill(build(family), step, data())


def images(model_type: str) -> Network:
    torch.manual_seed(0)
    given = ImageInput(channels=3, height=32, width=32, mean=(0.0,) * 3, std=(1.0,) * 3)
    model = Pretrained(path="anywhere", architecture={"model_type": model_type, **IMAGE_ENCODERS[model_type]})
    return Network(NetworkSpec(model=model, input=given, output=ClassOutput(num_classes=2))).eval()


def test_encoders_of_images_are_compared_where_they_attend_to_the_same_steps() -> None:
    pictures = np.random.default_rng(0).integers(0, 255, (4, 3, 32, 32)).astype(np.uint8)
    samples = Samples(pictures, np.array([0, 1, 0, 1]), ("dark", "light"))
    given = dataclasses.replace(data(), training_samples=samples)
    assert pair_attention(images("vit"), images("vit"), None, given).heads == 4
    for student, says in (("resnet", "those of a resnet are not known"), ("swin", "the student attends to")):
        with pytest.raises(CompressionError, match=says):
            pair_attention(images(student), images("vit"), None, given)


def test_a_student_that_learns_them_comes_closer_and_keeps_nothing_of_it() -> None:
    teacher, course = build("bert"), {"student": SMALL, "epochs": 8, "lr": 0.003}
    plain, like = (
        distill(teacher, DistillStudent(relations=relations, **course), data())
        for relations in (None, Relations(weight=20))
    )
    inputs = torch.from_numpy(data().training_samples.inputs)
    with torch.no_grad():
        far, near = (float(apart(network, teacher, inputs)) for network in (plain, like))
    assert near < 0.5 * far
    assert not any(hasattr(module, WATCH) for network in (like, teacher) for module in network.modules())
    check_storable(like, "small")


def test_finetuning_learns_them_too() -> None:
    teacher, inputs = build("bert"), torch.from_numpy(data().training_samples.inputs)
    narrow = prune_channels(teacher, PruneChannels(ratio=0.5), data())

    def tuned(**settings: Any) -> float:
        step = Finetune(epochs=4, lr=0.001, distill=Distill(**settings))
        student = finetune(narrow, step, dataclasses.replace(data(), teachers={"float": teacher}))
        with torch.no_grad():
            return float(apart(student, teacher, inputs))

    assert tuned(relations=Relations(weight=20)) < 0.8 * tuned()
