"""Another, smaller network of any kind learns what the network before it answers."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from thresher.compression.data import CompressionData
from thresher.compression.describe import step_words
from thresher.compression.network import finetune as finetuning
from thresher.compression.network.distill import DistillStudent, distill
from thresher.compression.network.drop_layers import DropLayers, drop_layers
from thresher.compression.network.finetune import Distill, Finetune
from thresher.compression.network.hidden_pairs import pair_hidden_states
from thresher.compression.network.prune_channels import PruneChannels, prune_channels
from thresher.compression.network.prune_vocabulary import PruneVocabulary, prune_vocabulary
from thresher.errors import CompressionError
from thresher.events import Event, Step, TrainingEpoch, subscribe
from thresher.export import check_parity, export_onnx
from thresher.modalities.model_input import ModelInput
from thresher.modalities.outputs import AnyOutput, ClassOutput, ValueOutput
from thresher.modalities.samples import Samples
from thresher.modalities.tabular.model_input import TabularInput
from thresher.modalities.text.model_input import TextInput
from thresher.models import Model
from thresher.models.linear import Linear
from thresher.models.mlp import Mlp
from thresher.models.network import Network, NetworkSpec
from thresher.models.storage import check_storable
from thresher.models.textcnn.config import TextCnn
from thresher.models.transformer.config import Transformer
from thresher.training import Training
from thresher.training.checkpoints import Checkpoints
from thresher.training.hidden_states import HiddenStates

TEXT = TextInput(vocabulary_size=30, max_length=8)
TEACHER = Transformer(dimension=16, num_heads=2, num_layers=1, feed_forward=16)
STUDENT = TextCnn(dimension=8, num_filters=8)
COURSE: dict[str, Any] = {"epochs": 8, "lr": 0.02}


def build(model: Model, given: ModelInput = TEXT, output: AnyOutput | None = None) -> Network:
    torch.manual_seed(1)
    return Network(NetworkSpec(model=model, input=given, output=output or ClassOutput(num_classes=2))).eval()


def texts(count: int = 64) -> Samples[np.ndarray]:
    """Return texts with the token 2 in those of the second class alone."""
    random = np.random.default_rng(0)
    tokens, labels = random.integers(3, 20, (count, 8)), np.arange(count) % 2
    tokens[labels == 1, 3] = 2
    return Samples(tokens.astype(np.int64), labels.astype(np.int64), ("without", "with"))


def data_of(samples: Samples[np.ndarray], given: ModelInput = TEXT, **settings: Any) -> CompressionData:
    values = {"optimizer": {"kind": "adamw", "lr": 0.0001}, "epochs": 1, "batch_size": 16, **settings}
    return CompressionData("small", given, samples, samples, Training.model_validate(values))


def classes(network: Network, samples: Samples[np.ndarray]) -> np.ndarray:
    with torch.inference_mode():
        found: np.ndarray = network.predict(torch.from_numpy(samples.inputs)).argmax(1).numpy()
    return found


@pytest.fixture(scope="module")
def teacher() -> Network:
    return finetuning.finetune(build(TEACHER), Finetune(epochs=10, lr=0.01), data_of(texts()))


def test_a_student_of_another_kind_learns_what_its_teacher_answers(teacher: Network) -> None:
    samples = texts()
    right = classes(teacher, samples)
    assert (right == samples.labels).mean() > 0.95
    wrong = dataclasses.replace(samples, labels=1 - samples.labels)
    data = dataclasses.replace(data_of(samples), training_samples=wrong)
    student = distill(teacher, DistillStudent(student=STUDENT, weight=1.0, **COURSE), data)
    assert student.spec.model == STUDENT and student.spec.input == teacher.spec.input
    assert (classes(student, samples) == right).mean() > 0.95


def test_every_other_step_goes_on_with_the_student(teacher: Network) -> None:
    data = data_of(texts())
    student = distill(teacher, DistillStudent(student=STUDENT, **{**COURSE, "epochs": 1}), data)
    smaller = prune_vocabulary(prune_channels(student, PruneChannels(ratio=0.5), data), PruneVocabulary(), data)
    check_storable(smaller, "small")
    assert check_parity(smaller, export_onnx(smaller), data.training_samples.inputs) < 1e-4


def test_it_comes_to_the_same_whatever_was_drawn_before(teacher: Network) -> None:
    step = DistillStudent(student=STUDENT, **{**COURSE, "epochs": 1})
    torch.manual_seed(5)
    one = distill(teacher, step, data_of(texts()))
    torch.manual_seed(6)
    other, third = (distill(teacher, step, data_of(texts(), seed=seed)) for seed in (1, 2))
    weights = [list(network.parameters()) for network in (one, other, third)]
    assert all(torch.equal(ours, same) for ours, same in zip(weights[0], weights[1], strict=True))
    assert not torch.equal(weights[0][0], weights[2][0])


def test_a_killed_distillation_goes_on_to_the_same_weights(
    teacher: Network, tmp_path: Path, events: list[Event]
) -> None:
    step = DistillStudent(student=STUDENT, **{**COURSE, "epochs": 3})

    def student(folder: str) -> list[torch.Tensor]:
        data = dataclasses.replace(
            data_of(texts(), checkpoint_seconds=0.001), checkpoints=Checkpoints(tmp_path / folder)
        )
        return list(distill(teacher, step, data).parameters())

    def stop(event: object) -> None:
        if isinstance(event, TrainingEpoch) and event.epoch == 2:
            raise KeyboardInterrupt

    undisturbed, unsubscribe = student("undisturbed"), subscribe(stop)
    with pytest.raises(KeyboardInterrupt):
        student("killed")
    unsubscribe()
    assert all(torch.equal(one, other) for one, other in zip(student("killed"), undisturbed, strict=True))
    assert Step("small continues at step 8 of 12") in events


def test_values_are_learned_too() -> None:
    rows = TabularInput(num_numeric=2, cardinalities=())
    inputs = np.random.default_rng(0).normal(size=(64, 2)).astype(np.float32)
    samples = Samples(inputs, 5.0 + 2.0 * inputs[:, 0].astype(np.float64))
    output = ValueOutput(mean=5.0, std=2.0)
    data = data_of(samples, rows)
    taught = finetuning.finetune(build(Mlp(hidden=(16,)), rows, output), Finetune(epochs=20, lr=0.02), data)
    student = distill(taught, DistillStudent(student=Linear(), weight=1.0, epochs=40, lr=0.05), data)
    with torch.inference_mode():
        apart = (student(torch.from_numpy(inputs)) - taught(torch.from_numpy(inputs))).square().mean()
    assert student.spec.output == output and apart < 0.02


def test_reports_name_the_students_kind() -> None:
    step = DistillStudent(student=STUDENT, epochs=3)
    assert step_words(step) == "distill (student {kind textcnn, dimension 8, num_filters 8}, epochs 3)"


DEEP = Transformer(dimension=16, num_heads=2, num_layers=4, feed_forward=16)


def states_of(network: Network, block: str, samples: Samples[np.ndarray]) -> torch.Tensor:
    made: list[torch.Tensor] = []
    hook = network.body.get_submodule(block).register_forward_hook(lambda *given: made.append(given[2]))
    with torch.inference_mode():
        network(torch.from_numpy(samples.inputs))
    hook.remove()
    return made[0]


def unexplained(student: Network, deep: Network, samples: Samples[np.ndarray]) -> float:
    """Return what of the teacher's last states no linear map of the student's says, as a share of their squares."""
    ours = states_of(student, "blocks.1", samples).flatten(0, 1)
    theirs = states_of(deep, "blocks.3", samples).flatten(0, 1)
    ours = torch.cat([ours, torch.ones(len(ours), 1)], dim=1)
    rest = theirs - ours @ torch.linalg.lstsq(ours, theirs).solution
    return float(rest.square().sum() / (theirs - theirs.mean(0)).square().sum())


def test_hidden_states_of_another_width_are_learned_through_a_map() -> None:
    deep, samples = build(DEEP), texts()
    student = Transformer(dimension=12, num_heads=2, num_layers=2, feed_forward=16)
    course = {"student": student, "epochs": 30, "lr": 0.01}
    plain, like = (distill(deep, DistillStudent(hidden=hidden, **course), data_of(samples)) for hidden in (0.0, 10.0))
    assert unexplained(like, deep, samples) < 0.8 * unexplained(plain, deep, samples)
    assert [name for name, _ in like.named_children()] == ["prepare", "body"]
    assert not any(module._forward_hooks for module in like.modules())
    check_storable(like, "small")


def test_hidden_states_of_the_same_width_are_learned_as_they_are() -> None:
    deep, data = build(DEEP), data_of(texts())
    shorter = drop_layers(deep, DropLayers(keep=2), data)
    apart = []
    for hidden in (0.0, 10.0):
        course = Finetune(epochs=5, lr=0.01, distill=Distill(hidden=hidden))
        tuned = finetuning.finetune(shorter, course, dataclasses.replace(data, teachers={"float": deep}))
        ours, theirs = states_of(tuned, "blocks.1", texts()), states_of(deep, "blocks.3", texts())
        apart.append(float((ours - theirs).square().mean()))
    assert apart[1] < 0.8 * apart[0]


@pytest.mark.parametrize(
    ("kept", "expected"),
    [((0, 1), (0, 3)), ((0, 3), (2, 3)), ((1, 2), (1, 3)), ((2, 3), (2, 3)), ((0, 2, 3), (1, 2, 3))],
)
def test_blocks_that_were_left_learn_what_the_next_of_them_was_given(
    kept: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    deep = build(DEEP)
    shorter = Network(deep.spec.model_copy(update={"blocks": {"blocks": kept}}))
    _, pairs = pair_hidden_states(shorter, deep, data_of(texts()))
    assert pairs == [(f"blocks.{place}", f"blocks.{theirs}") for place, theirs in enumerate(expected)]
    again = Network(deep.spec.model_copy(update={"blocks": {"blocks": kept[-2:]}}))  # of one that was dropped from, too
    _, pairs = pair_hidden_states(again, shorter, data_of(texts()))
    last = len(kept) - 1
    assert pairs == [("blocks.0", f"blocks.{last - 1}"), ("blocks.1", f"blocks.{last}")]


def test_padding_says_nothing_of_hidden_states() -> None:
    deep = build(DEEP)
    student = build(Transformer(dimension=16, num_heads=2, num_layers=2, feed_forward=16))
    states = HiddenStates([("blocks.0", "blocks.1"), ("blocks.1", "blocks.3")], student, deep)
    texts_PT = torch.tensor([[3, 4, 5, 6], [7, 8, 9, 2]])

    def apart(inputs: torch.Tensor) -> float:
        student(inputs), deep(inputs)
        return float(states.apart(inputs).detach())

    padded = torch.cat([texts_PT, torch.zeros(2, 3, dtype=torch.long)], dim=1)
    assert apart(padded) == pytest.approx(apart(texts_PT), rel=1e-4)
    assert apart(texts_PT) == pytest.approx(apart(texts_PT[:1]) + apart(texts_PT[1:]), rel=1e-4)


def test_a_student_without_blocks_has_no_hidden_states_to_compare() -> None:
    with pytest.raises(CompressionError, match=r"distill\.hidden needs two blocks or more in student and teacher"):
        distill(build(DEEP), DistillStudent(student=STUDENT, hidden=1.0, **COURSE), data_of(texts()))
