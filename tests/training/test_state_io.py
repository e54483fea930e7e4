"""Any nested state comes back as it was, to the last bit and stride, and a damaged file is found."""

from __future__ import annotations

import math
import pickle
from collections import deque
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thresher.errors import DataError
from thresher.training.state_io import read_metadata, read_state, write_state

KEYS = st.one_of(st.text(max_size=5), st.integers(), st.tuples(st.integers(), st.text(max_size=2)))
TENSORS = st.builds(
    lambda shape, dtype: torch.arange(math.prod(shape)).reshape(shape).to(dtype),
    st.lists(st.integers(0, 3), max_size=4),
    st.sampled_from(
        [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool]
    ),
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    TENSORS,
    TENSORS.map(lambda t: t.mT if t.ndim > 1 else t),
)
STATES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.lists(inner, max_size=3).map(lambda items: deque(items, maxlen=7)),
        st.dictionaries(KEYS, inner, max_size=3),
    ),
    max_leaves=8,
)


def are_same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, torch.Tensor):
        laid_out = one.stride() == other.stride() or not one.numel()
        return one.dtype == other.dtype and one.shape == other.shape and laid_out and torch.equal(one, other)
    if isinstance(one, dict):
        return list(one) == list(other) and all(are_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple | deque):
        same_end = getattr(one, "maxlen", None) == getattr(other, "maxlen", None)
        return len(one) == len(other) and same_end and all(map(are_same, one, other))
    return one == other or (isinstance(one, float) and math.isnan(one) and math.isnan(other))


@given(STATES)
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_state_comes_back(tmp_path: Path, state: Any) -> None:
    write_state(state, tmp_path / "state", {"name": "größe"})
    assert are_same(read_state(tmp_path / "state"), state)
    assert read_metadata(tmp_path / "state")["name"] == "größe"


def test_memory_formats_stay_and_one_tensor_may_be_there_twice(tmp_path: Path) -> None:
    weight = torch.rand(4, 3, 5, 5).to(memory_format=torch.channels_last)
    grey = torch.rand(4, 1, 5, 5).to(memory_format=torch.channels_last)
    write_state([weight, weight, grey, weight[:, :2], weight[0].expand(2, 3, 5, 5)], tmp_path / "state", {})
    one, two, three, part, shared = read_state(tmp_path / "state")
    assert (one.stride(), three.stride()) == (weight.stride(), grey.stride())
    for read, written in ((one, weight), (two, weight), (three, grey), (part, weight[:, :2])):
        assert torch.equal(read, written)
    assert torch.equal(shared, weight[0].expand(2, 3, 5, 5))


def test_what_has_no_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="cannot store a set"):
        write_state({"a": [{1}]}, tmp_path / "state", {})


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "lbfgs", "muon"])
def test_the_state_of_real_optimizers_comes_back_without_pickle(
    optimizer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weight = torch.nn.Parameter(torch.rand(4, 3))
    kinds = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD, "lbfgs": torch.optim.LBFGS, "muon": torch.optim.Muon}
    options = {"momentum": 0.9} if optimizer == "sgd" else {}
    built = kinds[optimizer]([weight], **options)

    def loss() -> torch.Tensor:
        built.zero_grad()
        value = weight.square().sum()
        value.backward()
        return value

    built.step(loss)
    monkeypatch.setattr(pickle, "Pickler", None)
    monkeypatch.setattr(pickle, "Unpickler", None)
    write_state(built.state_dict(), tmp_path / "state", {})
    read = read_state(tmp_path / "state")
    assert are_same(read, built.state_dict())
    kinds[optimizer]([weight], **options).load_state_dict(read)


def test_damage_anywhere_is_found(tmp_path: Path) -> None:
    path = tmp_path / "state"
    write_state({"weights": torch.rand(50), "step": 3}, path, {})
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(DataError, match="not a readable checkpoint"):
            read_state(path)
    for length in (0, 5, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match="not a readable checkpoint"):
            read_state(path)
        assert read_metadata(path) == {}
