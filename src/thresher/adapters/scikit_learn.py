"""scikit-learn: the trees within a fitted HistGradientBoosting model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Tree:
    """One tree, each array over its M nodes, of which the first is the root.

    Attributes:
        feature: column of the rows that were fitted, int64 [M].
        threshold: a number of at most that goes left, float64 [M].
        left, right: nodes, int64 [M].
        value: what a leaf adds, float64 [M].
        is_leaf: bool [M].
        left_codes: node -> the categories that go left, of the nodes that split by category.
        others_go_left: whether a category that the tree was not fitted with goes left, bool [M].
    """

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray
    is_leaf: np.ndarray
    left_codes: dict[int, frozenset[int]]
    others_go_left: np.ndarray


def read_trees(model: Any) -> list[list[Tree]]:
    """Return the trees of ``model`` by iteration: one each, with more than two classes one a class."""
    columns, categories = _columns(model)
    return [[_read(each, columns, categories) for each in iteration] for iteration in model._predictors]


def read_baseline(model: Any) -> np.ndarray:
    """Return what ``model`` answers before its first tree, float64, one number for each tree of an iteration."""
    return np.asarray(model._baseline_prediction, np.float64).ravel()


def known_categories(model: Any) -> dict[int, frozenset[int]]:
    """Return column -> the categories that ``model`` was fitted with, which are whole numbers."""
    columns, categories = _columns(model)
    return {int(columns[place]): frozenset(each.astype(int).tolist()) for place, each in enumerate(categories)}


def _columns(model: Any) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the column of each of the model's own features, and the categories of the first of them.

    Categories stand first in there, each as its place among the sorted ones.
    """
    if model._preprocessor is None:
        return np.arange(model.n_features_in_), []
    is_category = model.is_categorical_
    columns = np.concatenate([np.flatnonzero(is_category), np.flatnonzero(~is_category)])
    return columns, list(model._preprocessor.named_transformers_["encoder"].categories_)


def _read(predictor: Any, columns: np.ndarray, categories: list[np.ndarray]) -> Tree:
    nodes = predictor.nodes
    is_leaf = nodes["is_leaf"].astype(bool)
    by_category = np.flatnonzero(nodes["is_categorical"].astype(bool) & ~is_leaf)
    return Tree(
        feature=columns[nodes["feature_idx"].astype(np.int64) * ~is_leaf],
        threshold=nodes["num_threshold"],
        left=nodes["left"].astype(np.int64),
        right=nodes["right"].astype(np.int64),
        value=nodes["value"],
        is_leaf=is_leaf,
        left_codes={
            int(node): _codes(
                predictor.raw_left_cat_bitsets[nodes["bitset_idx"][node]], categories[nodes["feature_idx"][node]]
            )
            for node in by_category
        },
        others_go_left=nodes["missing_go_to_left"].astype(bool),
    )


def _codes(bitset: np.ndarray, categories: np.ndarray) -> frozenset[int]:
    """Return the ``categories`` whose places are set in ``bitset``, uint32 [8]."""
    is_set = np.unpackbits(bitset.astype("<u4").view(np.uint8), bitorder="little")[: len(categories)].astype(bool)
    return frozenset(categories[is_set].astype(int).tolist())
