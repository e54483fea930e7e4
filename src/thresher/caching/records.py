"""What each node's outputs were made of: one record a node, written after them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from thresher.config import Config
from thresher.files import replacing_file

STATE_FOLDER = ".thresher"
"""The folder in the project that holds records, hashes and locks of all its recipes."""


class Dependencies(Config):
    """What a node's outputs depend on that is known before anything runs; its inputs' content comes on top."""

    code: dict[str, str]
    """Qualified name of every definition in the package that the node reaches -> hash of its source."""
    parameters: dict[str, Any]
    """The node's slice of the recipe: dotted name -> value."""
    versions: dict[str, str]
    """The versions of Python and of the packages that this code uses."""
    files: dict[str, str] = Field(default_factory=dict)
    """Files that it packs: place in the source tree -> hash; empty, but for the node that builds a Bento."""
    machine: dict[str, str]
    """The machine of a node that measures time; empty for other nodes."""
    raw: dict[str, str]
    """Raw data that it descends from: catalog entry -> fingerprint."""


class Record(Config):
    """One node as it ran last."""

    node: str
    dependencies: Dependencies
    inputs: dict[str, str | None]
    """Dataset -> fingerprint as the node found it."""
    outputs: dict[str, str | None]
    """Dataset -> fingerprint as the node left it."""
    unfinished: str = ""
    """Why the outputs may not be reused although they are there."""
    run_id: str
    """The MLflow run that made the outputs."""
    experiment_id: str
    made_at: str
    """ISO 8601, UTC."""
    seconds: float
    """The node's own time, without loading and saving."""
    machine: dict[str, str]
    """The machine that the node ran on."""


class Records:
    """The records of one recipe."""

    def __init__(self, project: Path, recipe: str) -> None:
        self._folder = project / STATE_FOLDER / "records" / recipe

    def read(self, node: str) -> Record | None:
        """Return the record of ``node``, None where there is none or it cannot be read: that costs a run of it."""
        try:
            return Record.model_validate_json(self._path(node).read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def read_all(self) -> dict[str, Record]:
        """Return every record by its node, those of nodes that the recipe no longer has, too."""
        nodes = sorted(path.name.removesuffix(".json") for path in self._folder.glob("*.json"))
        records = {node: self.read(node) for node in nodes}
        return {node: record for node, record in records.items() if record is not None}

    def write(self, record: Record) -> None:
        """Put ``record`` in the place of the node's last one."""
        with replacing_file(self._path(record.node)) as path:
            path.write_text(record.model_dump_json(), encoding="utf-8")

    def delete(self, node: str) -> None:
        """Forget how ``node`` ran: it runs again."""
        self._path(node).unlink(missing_ok=True)

    def _path(self, node: str) -> Path:
        # Not with_suffix: a candidate's nodes have a dot in their names.
        return self._folder / f"{node}.json"
