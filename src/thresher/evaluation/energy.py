"""Energy, where the processor counts it and the system lets it be read: RAPL, through Linux's powercap."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from thresher.config import Config

ROOT = Path("/sys/class/powercap")
ZONES = "intel-rapl:*"
"""AMD's counters have this name, too. Those of intel-rapl-mmio count the same package a second time."""


class EnergyUse(Config):
    """What a sample takes, of everything that the machine did meanwhile, in joules."""

    joules: float
    reference_joules: float
    """The energy of the reference model in the same rounds, in joules."""

    @property
    def ratio(self) -> float:
        """The model's energy over the reference's; below 1 is less."""
        return self.joules / self.reference_joules


@dataclass(frozen=True)
class Zone:
    """One counter.

    Attributes:
        counter: file with microjoules.
        wraps_at: microjoules at which it begins at 0 again.
    """

    counter: Path
    wraps_at: int

    def read(self) -> int:
        """Return the microjoules so far."""
        return int(self.counter.read_text(encoding="ascii"))


@dataclass(frozen=True)
class EnergyMeter:
    """All counters of a machine together; without any it reads 0 joules."""

    zones: tuple[Zone, ...] = ()

    def read(self) -> tuple[int, ...]:
        """Return what the counters show."""
        return tuple(zone.read() for zone in self.zones)

    def joules_since(self, before: tuple[int, ...]) -> float:
        """Return the joules since the counters showed ``before``, less than one turn of a counter ago."""
        pairs = zip(self.zones, before, self.read(), strict=True)
        return sum((after - was) % (zone.wraps_at + 1) for zone, was, after in pairs) / 1e6


def find_meter(root: Path | None = None) -> EnergyMeter:
    """Return the counters of all processor packages, and of the memory where it is counted apart.

    Only root may read them on most systems: what is not readable is as good as absent, and where one package is not,
    none is counted.

    Args:
        root: the folder of the counters; the system's own where it is not given.
    """
    zones = []
    for folder in sorted((root or ROOT).glob(ZONES)):
        try:
            name = (folder / "name").read_text(encoding="ascii").strip()
            if not name.startswith(("package", "dram")):  # cores and graphics are in the package, which psys is in
                continue
            zone = Zone(folder / "energy_uj", int((folder / "max_energy_range_uj").read_text(encoding="ascii")))
            zone.read()
        except (OSError, ValueError):
            return EnergyMeter()
        zones.append(zone)
    return EnergyMeter(tuple(zones))
