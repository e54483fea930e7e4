"""What the service says of rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from thresher.modalities.occlusion import MAX_COPIES, Occlusion, groups
from thresher.modalities.service import ModalityService
from thresher.modalities.tabular.columns import CategoricalColumn
from thresher.modalities.tabular.encoder import TabularEncoder


class TabularService(ModalityService[TabularEncoder]):
    """Columns; a field for each."""

    WIDGET = Path(__file__).with_name("widget.js")

    def occlude(self, sample: np.ndarray, raw: Any) -> Occlusion:
        """Columns are taken for missing; where training lacked no value, for the typical one."""
        others = _other_values(self.encoder, sample[0])
        parts = groups(len(others), MAX_COPIES)

        def copy(index: int) -> np.ndarray:
            row = sample.copy()
            for other in others[parts[index]]:
                row[0, other.places] = other.codes
            return row

        def tell(drops: np.ndarray) -> dict[str, Any]:
            said = []
            for part, drop in zip(parts, drops.tolist(), strict=True):
                columns, values = [other.column for other in others[part]], [other.value for other in others[part]]
                said.append({"columns": columns, "replaced_by": values, "importance": drop})
            return {"importance": said}

        return Occlusion(len(parts), copy, tell)

    def features(self, samples: np.ndarray) -> dict[str, np.ndarray]:
        numeric, categorical = self.encoder.numeric, self.encoder.categorical
        # Flags of missing values stand between the two.
        places = [*range(len(numeric)), *range(samples.shape[1] - len(categorical), samples.shape[1])]
        names = [*(column.name for column in numeric), *(column.name for column in categorical)]
        return {name: samples[:, place].astype(np.float64) for name, place in zip(names, places, strict=True)}

    def num_codes(self) -> dict[str, int]:
        """Return how many codes each categorical column has, the one for unseen categories among them."""
        return {column.name: len(column.categories) + 1 for column in self.encoder.categorical}

    def form(self) -> dict[str, Any]:
        columns = []
        for column in self.encoder.columns:
            said: dict[str, Any] = {"name": column.name, "typical": column.typical}
            if isinstance(column, CategoricalColumn):
                said["categories"] = [category for category in column.categories if category is not None]
                said["may_be_missing"] = None in column.categories
            else:
                said["may_be_missing"] = column.has_missing
            columns.append(said)
        return {"columns": columns, "other_categories": self.encoder.unseen_categories == "other"}


@dataclass(frozen=True)
class _OtherValue:
    """What takes the place of a column's value, and how it is encoded."""

    column: str
    value: str | float | None
    places: list[int]
    codes: list[float]


def _other_values(encoder: TabularEncoder, row: np.ndarray) -> list[_OtherValue]:
    """Return one a column, in the encoder's order; ``row`` [F] is laid out as `TabularEncoder.encode` says."""
    flag = len(encoder.numeric)
    others: dict[str, _OtherValue] = {}
    for place, number in enumerate(encoder.numeric):
        flags = [flag] if number.has_missing else []
        flag += len(flags)
        value = None if flags and not row[flags[0]] else number.median
        codes = [number.encode_one(value), *(float(value is None) for _ in flags)]
        others[number.name] = _OtherValue(number.name, value, [place, *flags], codes)
    for place, category in enumerate(encoder.categorical, start=flag):
        # None before all others; the most frequent one follows.
        known = sorted(category.categories, key=lambda value: value is not None)
        other = next((value for value in known if category.encode_one(value) != row[place]), known[0])
        others[category.name] = _OtherValue(category.name, other, [place], [category.encode_one(other)])
    return [others[column.name] for column in encoder.columns]
