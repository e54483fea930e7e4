"""The Kedro datasets for what people read: tables, figures, texts, and the Bento by its tag."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NewType

from thresher.datasets.local import LocalDataset
from thresher.errors import DataError
from thresher.files import replacing_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

HashOf = Callable[[Path], str | None]
# Kedro-Viz chooses how to show a preview by the name of the type that it is annotated with.
TablePreview = NewType("TablePreview", dict[str, Any])
ImagePreview = NewType("ImagePreview", str)


class TableDataset(LocalDataset["DataFrame"]):
    """A table as Parquet."""

    def load(self) -> DataFrame:
        import pandas as pd

        with self._reading() as path:
            return pd.read_parquet(path)

    def save(self, data: DataFrame) -> None:
        with replacing_file(self._filepath) as path:
            data.to_parquet(path)

    def preview(self, nrows: int = 5) -> TablePreview:
        """Return the first rows, as kedro viz shows them."""
        return TablePreview(self.load().head(nrows).to_dict(orient="split"))


class FigureDataset(LocalDataset["Figure | bytes"]):
    """A figure as PNG: saved from matplotlib's, loaded as the bytes of the file."""

    def __init__(self, filepath: str, dpi: int = 120) -> None:
        super().__init__(filepath)
        self._dpi = dpi

    def load(self) -> bytes:
        with self._reading() as path:
            return path.read_bytes()

    def save(self, data: Figure | bytes) -> None:
        with replacing_file(self._filepath) as path:
            if isinstance(data, bytes):
                path.write_bytes(data)
            else:
                data.savefig(path, dpi=self._dpi, format="png")

    def preview(self) -> ImagePreview:
        """Return the figure in base64, as kedro viz shows it."""
        return ImagePreview(base64.b64encode(self.load()).decode())


class TextDataset(LocalDataset[str]):
    """A text in UTF-8."""

    def load(self) -> str:
        with self._reading() as path:
            return path.read_text(encoding="utf-8")

    def save(self, data: str) -> None:
        with replacing_file(self._filepath) as path:
            path.write_text(data, encoding="utf-8")


class PathDataset(LocalDataset[Path]):
    """A file of the project by its path, for what reads it together with what lies beside it."""

    def load(self) -> Path:
        with self._reading() as path:
            return path

    def save(self, data: Path) -> None:
        raise DataError(f"{self._filepath}: this file is your own, and no run writes it.")


class BentoDataset(TextDataset):
    """A Bento in BentoML's store, by its tag in a file."""

    def fingerprint(self, hash_of: HashOf) -> str:
        """Return what the tag and the Bento's files are; nothing where the store lacks the Bento or its model.

        BentoML is not imported for it.
        """
        import yaml

        if not self._filepath.exists():
            return ""
        tag = self.load()
        description = _stored("bentos", tag) / "bento.yaml"
        if not description.exists():
            return ""
        models = yaml.safe_load(description.read_bytes()).get("models") or []
        parts = [description, *(_stored("models", str(model["tag"])) for model in models)]
        hashes = [hash_of(part) for part in parts]
        return "" if None in hashes else hashlib.sha256("\n".join([tag, *map(str, hashes)]).encode()).hexdigest()


def _stored(kind: str, tag: str) -> Path:
    """Return the folder that BentoML keeps the Bento or model `NAME:VERSION` in."""
    return bento_store() / kind / tag.replace(":", "/")


def bento_store() -> Path:
    """Return where BentoML keeps everything, there or not; BentoML itself makes it when it is asked."""
    return Path(os.environ.get("BENTOML_HOME") or Path.home() / "bentoml")
