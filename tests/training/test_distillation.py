"""A student learns from a teacher: by soft targets, by values, by where convolutions look."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch.nn import functional as F

from thresher.errors import TrainingError
from thresher.modalities.image.model_input import ImageInput
from thresher.modalities.outputs import ClassOutput, ValueOutput
from thresher.modalities.samples import Samples
from thresher.models import Model
from thresher.models.cnn import Cnn
from thresher.models.fake_quantization import Quantization, fake_quantize
from thresher.models.linear import Linear
from thresher.models.network import Network, NetworkSpec
from thresher.training import Training
from thresher.training.batches import load_batches
from thresher.training.checkpoints import Checkpoints, key_of
from thresher.training.distillation import Teacher, Teaching
from thresher.training.execution import default_execution
from thresher.training.loop import train

CPU = torch.device("cpu")
IMAGE = ImageInput(channels=1, height=8, width=8, mean=(110.0,), std=(67.0,))
INPUTS = torch.arange(4 * 64, dtype=torch.uint8).reshape(4, 1, 8, 8)
LABELS = torch.tensor([0, 1, 1, 0])
CONFIG = Training.model_validate({"optimizer": {"kind": "adam", "lr": 0.01}, "epochs": 3, "batch_size": 16})
Halves = Callable[[int], Samples]


def build(model: Model, seed: int, output: ClassOutput | ValueOutput | None = None) -> Network:
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    return Network(NetworkSpec(model=model, input=IMAGE, output=output or ClassOutput(num_classes=2))).eval()


STUDENT, TEACHER = Cnn(channels=(4, 6), hidden=8), Cnn(channels=(8, 12), hidden=8)


def test_soft_targets_are_the_divergence_times_the_temperature_squared() -> None:
    student, teacher = build(STUDENT, 0), build(TEACHER, 1)
    learned, taught = student(INPUTS), teacher(INPUTS)
    labels = F.cross_entropy(learned, LABELS)
    mixed = Teacher(Teaching(teacher, 3.0, 0.7, 0.0), student, CPU).mix(labels, INPUTS, learned, 4)
    p, q = torch.softmax(taught / 3, 1), torch.softmax(learned / 3, 1)
    divergence = (p * (p.log() - q.log())).sum(1).mean()
    torch.testing.assert_close(mixed, 0.3 * labels + 0.7 * 9 * divergence)


def test_values_are_compared_by_their_squared_difference() -> None:
    value = ValueOutput(mean=1.0, std=2.0)
    student, teacher = build(STUDENT, 0, value), build(TEACHER, 1, value)
    learned = student(INPUTS)
    mixed = Teacher(Teaching(teacher, 4.0, 1.0, 0.0), student, CPU).mix(torch.tensor(5.0), INPUTS, learned, 4)
    torch.testing.assert_close(mixed, (learned - teacher(INPUTS)).square().mean())


def test_a_student_that_is_its_teacher_has_nothing_to_learn_from_it() -> None:
    network = build(STUDENT, 0)
    teacher = Teacher(Teaching(copy.deepcopy(network), 4.0, 1.0, 100.0), network, CPU)
    mixed = teacher.mix(torch.tensor(0.0), INPUTS, network(INPUTS), 4)
    assert mixed.item() == pytest.approx(0, abs=1e-6)


def test_features_add_how_far_apart_shared_convolutions_look() -> None:
    student, teacher = build(STUDENT, 0), build(TEACHER, 1)
    mixed = Teacher(Teaching(teacher, 4.0, 1.0, 10.0), student, CPU)
    plain = Teacher(Teaching(teacher, 4.0, 1.0, 0.0), student, CPU)
    zero, learned = torch.tensor(0.0), student(INPUTS)
    difference = mixed.mix(zero, INPUTS, learned, 4) - plain.mix(zero, INPUTS, learned, 4)
    maps = [
        [F.normalize(output.square().mean(1).flatten(1), dim=1) for output in outputs(network)]
        for network in (student, teacher)
    ]
    apart = torch.stack([(one - other).square().sum() for one, other in zip(*maps, strict=True)]).mean()
    torch.testing.assert_close(difference, 10 * apart / 4)
    difference.backward()
    assert student.body.get_parameter("conv1.weight").grad is not None


def test_a_folded_batch_norm_looks_where_the_teachers_own_does() -> None:
    teacher, student = build(TEACHER, 1), build(TEACHER, 1)
    for norm in ("norm1", "norm2"):
        for network in (teacher, student):
            network.body.get_submodule(norm).running_mean.copy_(torch.arange(12.0)[: 8 if norm == "norm1" else 12])
    folds = Quantization(layers={}, ranges=(), folded={"conv1": "norm1", "conv2": "norm2"})
    fake_quantize(student.body, folds)
    student.spec = student.spec.model_copy(update={"quantization": folds})
    mixed = Teacher(Teaching(teacher, 4.0, 1.0, 1000.0), student, CPU).mix(
        torch.tensor(0.0), INPUTS, student(INPUTS), 4
    )
    assert mixed.item() == pytest.approx(0, abs=1e-3)


def outputs(network: Network) -> list[torch.Tensor]:
    found: list[torch.Tensor] = []
    layers = [network.body.get_submodule(name) for name in ("conv1", "conv2")]
    hooks = [layer.register_forward_hook(lambda _, __, output: found.append(output)) for layer in layers]
    network(INPUTS)
    for hook in hooks:
        hook.remove()
    return found


def test_features_need_convolutions_that_both_have() -> None:
    with pytest.raises(TrainingError, match=r"distill\.features needs convolutions that student and teacher share"):
        Teacher(Teaching(build(Linear(), 0), 4.0, 0.5, 1.0), build(STUDENT, 0), CPU)


def test_with_all_of_the_weight_the_labels_do_not_count(halves: Halves) -> None:
    samples = halves(64)
    teacher, _ = train(build(TEACHER, 1), samples, samples, CONFIG, "teacher")
    wrong = Samples(samples.inputs, 1 - samples.labels, samples.class_names)
    student, _ = train(build(STUDENT, 0), wrong, samples, CONFIG, "student", teaching=Teaching(teacher, 2.0, 1.0, 0.0))
    right = student(torch.from_numpy(samples.inputs)).argmax(1).numpy() == samples.labels
    assert right.mean() > 0.95


@pytest.mark.parametrize(("augmentation", "calls"), [((), 1), (({"kind": "flip"},), 3 * 4)])
def test_what_stays_the_same_is_asked_once(augmentation, calls: int, halves: Halves, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    samples, asked = halves(64), list[int]()
    forward = Network.forward

    def count(self: Network, encoded: torch.Tensor) -> torch.Tensor:
        if self.spec.model == TEACHER:
            asked.append(len(encoded))
        return forward(self, encoded)

    monkeypatch.setattr(Network, "forward", count)
    config = CONFIG.model_copy(update={"augmentation": Training(augmentation=augmentation).augmentation})
    train(build(STUDENT, 0), samples, samples, config, "student", teaching=Teaching(build(TEACHER, 1), 4.0, 0.5, 0.0))
    assert len(asked) == calls


def test_what_was_asked_once_teaches_as_what_is_asked_at_each_batch() -> None:
    student, teacher = build(STUDENT, 0), Teacher(Teaching(build(TEACHER, 1), 3.0, 0.7, 0.0), build(STUDENT, 0), CPU)
    samples = Samples(INPUTS.numpy(), LABELS.numpy(), ("left", "right"))
    part, learned = torch.tensor([2, 0]), student(INPUTS[[2, 0]])
    fresh = teacher.mix(torch.tensor(1.0), INPUTS[part], learned, 4)
    assert teacher.recall(part) is None
    teacher.remember(load_batches(samples, student.spec, CPU))
    torch.testing.assert_close(teacher.mix(torch.tensor(1.0), INPUTS[part], learned, 4, teacher.recall(part)), fresh)
    torch.testing.assert_close(teacher.recall(slice(1, 3)), build(TEACHER, 1)(INPUTS)[1:3])


def test_a_checkpoint_belongs_to_its_teacher(halves: Halves) -> None:
    samples, student = halves(8), build(STUDENT, 0)
    execution = default_execution(CONFIG.execution, student)

    def key(*teaching: Teaching) -> str:
        return key_of(student, samples, samples, CONFIG, execution, "student", *teaching)

    one, other = Teaching(build(TEACHER, 1), 4.0, 0.5, 0.0), Teaching(build(TEACHER, 2), 4.0, 0.5, 0.0)
    hotter = Teaching(one.network, 8.0, 0.5, 0.0)
    assert key(one) == key(Teaching(build(TEACHER, 1), 4.0, 0.5, 0.0))
    assert len({key(), key(one), key(other), key(hotter)}) == 4


def test_a_killed_distillation_goes_on_to_the_same_weights(halves: Halves, tmp_path) -> None:  # type: ignore[no-untyped-def]
    samples, teaching = halves(64), Teaching(build(TEACHER, 1), 4.0, 0.5, 5.0)

    def distill(folder: str, stop_after: int | None = None) -> Network:
        def on_epoch(epoch) -> None:  # type: ignore[no-untyped-def]
            if epoch.epoch == stop_after:
                raise KeyboardInterrupt

        run = (None, Checkpoints(tmp_path / folder), on_epoch)
        return train(build(STUDENT, 0), samples, samples, CONFIG, "student", *run, teaching=teaching)[0]

    undisturbed = distill("undisturbed")
    assert not any(module._forward_hooks for module in undisturbed.modules())
    with pytest.raises(KeyboardInterrupt):
        distill("killed", stop_after=2)
    for one, other in zip(distill("killed").parameters(), undisturbed.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_answers_teach_as_the_network_does_that_gave_them(halves: Halves) -> None:
    samples, teacher = halves(48), build(TEACHER, 1)
    with torch.inference_mode():
        answers = teacher(torch.from_numpy(samples.inputs)).numpy()
    students = [
        train(build(STUDENT, 0), samples, samples, CONFIG, "student", teaching=Teaching(by, 3.0, 0.7, 0.0))[0]
        for by in (teacher, answers, answers[::-1].copy())
    ]
    weights = [torch.cat([weight.detach().flatten() for weight in each.parameters()]) for each in students]
    alike, other = (float((weights[0] - each).abs().max()) for each in weights[1:])
    assert alike < 1e-4 < other
    keys = [
        key_of(
            build(STUDENT, 0), samples, samples, CONFIG, default_execution(CONFIG.execution, teacher), "student", each
        )
        for each in (Teaching(answers, 3.0, 0.7, 0.0), Teaching(answers[::-1].copy(), 3.0, 0.7, 0.0))
    ]
    assert keys[0] != keys[1]
    with pytest.raises(TrainingError, match="share"):
        Teacher(Teaching(answers, 3.0, 0.7, 1.0), build(STUDENT, 0), CPU)
