"""Counters are read from a folder like the system's; without one that can be read there is no energy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from thresher.evaluation import Measurement
from thresher.evaluation.energy import EnergyMeter, find_meter
from thresher.evaluation.latency import WARMUP_CALLS, Timed, measure_latency
from thresher.modalities.image.model_input import ImageInput

IMAGE = ImageInput(channels=1, height=8, width=8, mean=(78.0,), std=(96.0,))
QUICK = Measurement(rounds=10, seconds=0.01, batch_sizes=(2,))
RANGE = 1_000_000
LAYOUT = {
    "intel-rapl:0": "package-0",
    "intel-rapl:0:0": "core",
    "intel-rapl:0:1": "dram",
    "intel-rapl:1": "package-1",
    "intel-rapl:2": "psys",
    "intel-rapl-mmio:0": "package-0",
}


@pytest.fixture
def counters(tmp_path: Path) -> dict[str, Path]:
    """The counters of a machine with two packages, all at 999,000 uJ of 1,000,000."""
    (tmp_path / "intel-rapl").mkdir()  # the driver's own folder, without a counter
    for zone, name in LAYOUT.items():
        folder = tmp_path / zone
        folder.mkdir()
        for file, content in (("name", name), ("energy_uj", "999000"), ("max_energy_range_uj", str(RANGE))):
            (folder / file).write_text(f"{content}\n")
    return {zone: tmp_path / zone / "energy_uj" for zone in LAYOUT}


def test_packages_and_memory_are_counted_once(counters: dict[str, Path], tmp_path: Path) -> None:
    meter = find_meter(tmp_path)
    assert [zone.counter for zone in meter.zones] == [
        counters[zone] for zone in ("intel-rapl:0", "intel-rapl:0:1", "intel-rapl:1")
    ]
    before = meter.read()
    for number, counter in enumerate(counters.values()):
        counter.write_text(f"{999_000 + 10**number}\n")
    assert meter.joules_since(before) == pytest.approx((1 + 100 + 1000) / 1e6)


def test_a_counter_that_begins_again_goes_on(counters: dict[str, Path], tmp_path: Path) -> None:
    meter = find_meter(tmp_path)
    before = meter.read()
    counters["intel-rapl:0"].write_text("500\n")
    assert meter.joules_since(before) == pytest.approx((RANGE - 999_000 + 1 + 500) / 1e6)


def test_without_counters_there_is_no_energy(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "absent"):
        meter = find_meter(root)
        assert (meter, meter.read(), meter.joules_since(())) == (EnergyMeter(), (), 0)


@pytest.mark.parametrize("damage", [Path.unlink, lambda file: file.write_text("none")])
def test_one_package_that_is_not_readable_leaves_no_sum(
    damage: Callable[[Path], object], counters: dict[str, Path], tmp_path: Path
) -> None:
    damage(counters["intel-rapl:1"])
    assert find_meter(tmp_path) == EnergyMeter()


@dataclass(frozen=True)
class Hungry(Timed):
    """A model whose calls move a counter by so many microjoules each."""

    counter: Path
    microjoules: int

    def open(self, threads: int) -> Callable[[np.ndarray, int], np.ndarray]:
        time_calls = super().open(threads)

        def time_and_count(places: np.ndarray, calls: int) -> np.ndarray:
            self.counter.write_text(str((int(self.counter.read_text()) + calls * self.microjoules) % (RANGE + 1)))
            return time_calls(places, calls)

        return time_and_count


def test_a_samples_energy_is_that_of_its_own_turns(
    counters: dict[str, Path], tmp_path: Path, float_onnx: bytes, digits  # type: ignore[no-untyped-def]
) -> None:  # fmt: skip
    assert WARMUP_CALLS > 0  # these move the counter, too, and are not counted
    pair = [Hungry(float_onnx, digits.test.inputs, IMAGE, counters["intel-rapl:0"], uj) for uj in (6, 2)]
    (result,) = measure_latency(pair[0], pair[1], QUICK, find_meter(tmp_path))
    assert result.energy is not None
    assert (result.energy.joules, result.energy.reference_joules) == pytest.approx((3e-6, 1e-6))
    assert result.energy.ratio == pytest.approx(3)


def test_counters_that_stand_still_count_nothing(
    counters: dict[str, Path], tmp_path: Path, float_onnx: bytes, digits  # type: ignore[no-untyped-def]
) -> None:  # fmt: skip
    model = Timed(float_onnx, digits.test.inputs, IMAGE)
    (result,) = measure_latency(model, model, QUICK, find_meter(tmp_path))
    assert result.energy is None
