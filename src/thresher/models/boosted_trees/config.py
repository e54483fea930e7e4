"""Settings of boosted trees, by scikit-learn's names."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from thresher.config import KindConfig


class BoostedTrees(KindConfig):
    """Gradient-boosted decision trees on histograms, as LightGBM has them: scikit-learn's HistGradientBoosting.

    A category is split by sets of values. Of all iterations those up to the best one on the validation split are kept.
    """

    kind: Literal["boosted_trees"] = "boosted_trees"
    learning_rate: float = Field(default=0.1, gt=0, le=10)
    """What the leaves of each tree are multiplied by."""
    max_iter: int = Field(default=300, ge=1, le=100_000)
    """Iterations at most; each adds a tree, with more than two classes one for each."""
    n_iter_no_change: int = Field(default=20, ge=1, le=100_000)
    """Iterations without a better validation loss after which no more are added."""
    max_leaf_nodes: int | None = Field(default=31, ge=2, le=65536)
    """Leaves of a tree at most; null for no bound."""
    max_depth: int | None = Field(default=None, ge=1, le=1000)
    """Splits from the root of a tree to a leaf at most; null for no bound."""
    min_samples_leaf: int = Field(default=20, ge=1, le=1_000_000_000)
    """Training samples in a leaf at least."""
    l2_regularization: float = Field(default=0.0, ge=0, le=1e12)
    """The higher, the nearer to zero the leaves."""
    max_features: float = Field(default=1.0, gt=0, le=1)
    """Share of the columns among which each split chooses, drawn by the seed."""
    max_bins: int = Field(default=255, ge=2, le=255)
    """Values that are told apart of a column of numbers. A column with more categories than that is split by their
    codes, as a number would be."""
