"""Splits that keep together what belongs together: copies, groups, and what comes before something else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thresher.modalities.samples import Samples, hash_each
from thresher.modalities.split import find_clusters, find_repeated, mark_held_out, mark_last, mark_stratified
from thresher.modalities.tabular.table import Table

shares = st.floats(0.05, 0.95)
seeds = st.integers(0, 2**63 - 1)
pairs = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30)), min_size=2, max_size=150)


def texts(values: list[str], labels: list[int], **more: np.ndarray) -> Samples:
    return Samples(np.array(values, dtype=object), np.array(labels, np.int64), ("a", "b", "c", "d"), **more)


@given(pairs, shares, seeds)
def test_no_cluster_is_divided_and_each_class_is_on_both_sides_where_it_can_be(
    rows: list[tuple[int, int]], share: float, seed: int
) -> None:
    # Clusters of one class each: copies of a sample.
    labels, clusters = np.array([row[0] for row in rows]), np.array([31 * row[0] + row[1] for row in rows])
    marked = mark_stratified(labels, share, seed, clusters)
    assert not set(clusters[marked]) & set(clusters[~marked])
    for label in np.unique(labels):
        of_label = clusters[labels == label]
        if len(set(of_label)) > 1:
            assert 0 < marked[labels == label].sum() < len(of_label)
            wanted = min(max(round(len(of_label) * share), 1), len(of_label) - 1)
            assert abs(marked[labels == label].sum() - wanted) <= np.unique(of_label, return_counts=True)[1].max()
        else:
            assert not marked[labels == label].any()


@given(pairs, shares, seeds)
def test_clusters_of_several_classes_are_not_divided_either(
    rows: list[tuple[int, int]], share: float, seed: int
) -> None:
    labels, clusters = np.array(rows).T
    marked = mark_stratified(labels, share, seed, clusters)
    assert not set(clusters[marked]) & set(clusters[~marked])
    assert np.array_equal(marked, mark_stratified(labels, share, seed, clusters.copy()))


@given(st.lists(st.integers(-1, 3), min_size=1, max_size=100).map(np.array), shares, seeds)
def test_without_copies_the_split_is_the_one_of_samples(labels: np.ndarray, share: float, seed: int) -> None:
    whole = mark_stratified(labels, share, seed)
    assert np.array_equal(mark_stratified(labels, share, seed, np.arange(len(labels))), whole)
    # A class with copies leaves the split of the others as it was.
    clusters = np.arange(len(labels))
    clusters[labels == 0] = -1 - clusters[labels == 0] // 2
    without = labels != 0
    assert np.array_equal(mark_stratified(labels, share, seed, clusters)[without], whole[without])


def test_shares_are_near_with_many_groups_of_several_classes() -> None:
    random = np.random.default_rng(0)
    groups = random.integers(0, 60, 3_000)
    labels = (random.random(3_000) < 0.02 + 0.1 * (groups % 3 == 0)).astype(np.int64)
    for seed in range(10):
        marked = mark_stratified(labels, 0.2, seed, groups)
        for label in (0, 1):
            assert abs(marked[labels == label].mean() - 0.2) < 0.03


@pytest.mark.oddity(
    "Splits and contracts", "copies of a sample in one file that Thresher divides", "are all in train or all in test"
)
def test_copies_of_a_message_are_all_on_one_side() -> None:
    """As in the SMS spam collection, where 133 of 1,114 test messages were in train as well."""
    random = np.random.default_rng(0)
    values = [f"message {number}" for number in np.concatenate([np.arange(700), random.integers(0, 200, 300)])]
    labels = [int(text[-1]) % 2 for text in values]
    samples = texts(values, labels)
    marked = mark_held_out(samples, 0.2, 1)
    in_test, in_train = samples.take(marked), samples.take(~marked)
    assert not set(in_test.inputs) & set(in_train.inputs)
    assert abs(len(in_test) / len(samples) - 0.2) < 0.005
    assert abs(in_test.labels.mean() - np.mean(labels)) < 0.01


def test_groups_and_copies_hang_together() -> None:
    groups = np.array(["p", "p", "q", "q", "r", "s"], dtype=object)
    samples = texts(["1", "2", "2", "3", "4", "5"], [0] * 6, groups=groups)
    clusters = find_clusters(samples)
    assert len(set(clusters[:4])) == 1  # p and q share the text 2
    assert len(set(clusters)) == 3


@given(st.lists(st.integers(0, 12), min_size=1, max_size=80), shares)
def test_the_last_share_is_held_out(times: list[int], share: float) -> None:
    order = np.array(times)
    marked = mark_last(order, share, np.arange(len(order)))
    if len(set(times)) < 2:
        assert not marked.any()
        return
    assert order[~marked].max() < order[marked].min()
    assert abs(marked.sum() - share * len(times)) <= max(times.count(time) for time in times) or marked.sum() in (
        times.count(max(times)),
        len(times) - times.count(min(times)),
    )


def test_a_later_copy_stays_with_the_earlier_one() -> None:
    samples = texts(["a", "b", "c", "d", "a"], [0, 1, 0, 1, 0], order=np.array([5, 4, 3, 2, 1]))
    assert mark_held_out(samples, 0.2, 0).tolist() == [False, True, False, False, False]


def test_content_is_what_a_row_says_however_it_is_written() -> None:
    def row(**columns: object) -> str:
        table = {
            name: np.array([value], dtype=float if isinstance(value, float) else object)
            for name, value in columns.items()
        }
        (found,) = hash_each(Table(table))
        return found

    same = [
        row(x=1.0, z="a", n=0.0),
        row(z="a", x=1.0, n=-0.0),
        row(n=0, z="a", x=1),
    ]
    assert len(set(same)) == 1
    assert row(x=float("nan"), z=1.0) == row(z=1.0, x=-np.float64("nan")) == row(z=1.0, x=None)
    assert row(x=1.0, z=2.0) != row(x=2.0, z=1.0)
    assert row(x="1") != row(x=1.0)
    assert row(x=2**53) != row(x=2**53 + 1)
    zeros, negative = np.zeros((2, 1), np.float32), -np.zeros((2, 1), np.float32)
    both = np.empty(2, dtype=object)
    both[:] = [zeros, negative]
    assert len(set(hash_each(both))) == 1


def test_only_copies_with_the_same_label_are_repeated() -> None:
    samples = texts(["a", "a", "b", "a", "a"], [0, 1, 0, 0, 1])
    assert find_repeated(samples).tolist() == [False, False, False, True, True]
