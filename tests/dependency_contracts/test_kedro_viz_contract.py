"""Kedro-Viz knows how to show a preview by the *name* of the type that the method is annotated with."""

from pathlib import Path

import pandas as pd
import pytest
from kedro.io import AbstractDataset
from kedro_viz.models.flowchart.node_metadata import DataNodeMetadata
from kedro_viz.models.flowchart.nodes import GraphNode
from matplotlib.figure import Figure

from thresher.datasets.reports import FigureDataset, TableDataset


def _metadata(dataset: AbstractDataset) -> DataNodeMetadata:
    node = GraphNode.create_data_node("id", "table", layer=None, tags=set(), dataset=dataset, modular_pipelines=None)
    return DataNodeMetadata(data_node=node)


@pytest.mark.parametrize("kind", ["TablePreview", "ImagePreview"])
def test_previews_are_shown_by_kedro_viz(tmp_path: Path, kind: str) -> None:
    dataset = TableDataset(str(tmp_path / "t")) if kind == "TablePreview" else FigureDataset(str(tmp_path / "f"))
    dataset.save(pd.DataFrame({"a": [1, 2]}) if kind == "TablePreview" else Figure())

    shown = _metadata(dataset)

    assert shown.preview_type == kind, f"kedro-viz no longer takes the name of the annotation: {shown.preview_type!r}"
    assert shown.preview, "kedro-viz no longer calls preview() of a dataset"
