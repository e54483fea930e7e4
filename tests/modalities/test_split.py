"""The stratified split: every class gives its share, whatever the labels are."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from thresher.modalities.split import mark_stratified

labels = st.lists(st.integers(-1, 5), min_size=1, max_size=200).map(np.array)
shares = st.floats(0.01, 0.99)
seeds = st.integers(0, 2**63 - 1)


@given(labels, shares, seeds)
def test_every_class_gives_its_share_but_at_least_one_and_never_all(
    values: np.ndarray, share: float, seed: int
) -> None:
    marked = mark_stratified(values, share, seed)
    assert (marked.shape, marked.dtype) == (values.shape, bool)
    for label in np.unique(values):
        members = int((values == label).sum())
        expected = min(max(round(members * share), 1), members - 1)
        assert marked[values == label].sum() == expected
        assert members == 1 or 0 < expected < members


@given(labels, shares, seeds)
def test_a_seed_always_gives_the_same_split(values: np.ndarray, share: float, seed: int) -> None:
    assert np.array_equal(mark_stratified(values, share, seed), mark_stratified(values.copy(), share, seed))


@given(labels, shares, seeds, st.integers(0, 5))
def test_a_class_leaves_the_split_of_the_others_as_it_was(
    values: np.ndarray, share: float, seed: int, gone: int
) -> None:
    kept = values != gone
    assert np.array_equal(mark_stratified(values, share, seed)[kept], mark_stratified(values[kept], share, seed))


def test_another_seed_gives_another_split() -> None:
    values = np.repeat(np.arange(3), 50)
    assert not np.array_equal(mark_stratified(values, 0.3, 1), mark_stratified(values, 0.3, 2))
