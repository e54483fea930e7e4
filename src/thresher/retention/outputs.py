"""What nodes left in the data folder, and what lies there that no record tells of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from kedro.io import DatasetError

from thresher.caching.file_hashes import FileHashes
from thresher.caching.fingerprints import CatalogContents
from thresher.caching.records import STATE_FOLDER, Record, Records
from thresher.pipelines.stage import served_file
from thresher.retention.artifacts import SHORT_ID, CleaningError, Item, Kind, delete, size_of
from thresher.retention.data_folder import DataFolder
from thresher.retention.lineage import Crowning, find_lineage
from thresher.retention.mlflow_lineage import Tracked, explaining_mlflow_errors


@dataclass(frozen=True)
class OutputsItem(Item):
    """What one node left."""

    run_id: str = ""
    """The MLflow run that it did so in."""


def find_outputs(folder: DataFolder, tracked: Tracked) -> list[Item]:
    """Return an item for every node with outputs in the data folder, and one for every other file of the recipe."""
    records = Records(folder.project, tracked.recipe).read_all()
    lineage = _lineage(folder, tracked, records)
    paths = {node: [path for name in record.outputs for path in folder.ours(name)] for node, record in records.items()}
    items: list[Item] = [
        _outputs_of(folder, tracked, record, paths[node], node in lineage)
        for node, record in records.items()
        if paths[node]
    ]
    known = [path for record in records.values() for name in record.outputs for path in folder.places(name)]
    return items + [_leftover(folder, tracked, file) for file in folder.leftovers(tracked.recipe, known)]


def _lineage(folder: DataFolder, tracked: Tracked, records: dict[str, Record]) -> set[str]:
    champion = tracked.champion
    if champion is None:
        return set()
    dataset = f"{tracked.recipe}.champion"
    contents = CatalogContents(folder.catalog, FileHashes(folder.project / STATE_FOLDER / "hashes.db"))
    with explaining_mlflow_errors():
        crowning = Crowning(
            dataset=dataset,
            fingerprint=contents.of(dataset) or "",
            crowned_in=tracked.registered_in(champion) | {champion.run_id or ""},
            runs=tracked.champion_runs,
        )
        candidate = champion.tags.get("candidate", "")
        files = [served_file(tracked.recipe, candidate, calibrate) for calibrate in (False, True)]
        files.append(served_file(tracked.recipe, candidate, True, True))
        return find_lineage(
            records, crowning, contents.of, lambda name: name in files and _is_champions_file(folder, dataset, name)
        )


def _is_champions_file(folder: DataFolder, champion: str, file: str) -> bool:
    if not folder.catalog.exists(file):
        return False
    try:
        bundle = folder.catalog.load(champion)
    except DatasetError as error:
        what = f"{champion} cannot be loaded, so that nobody knows which files it descends from"
        raise CleaningError(f"{what}.\n{error}\nFix: crown another (kedro run), or take its alias away.") from error
    return bool(bundle.onnx_bytes == folder.catalog.load(file))


def _outputs_of(
    folder: DataFolder, tracked: Tracked, record: Record, paths: list[Path], is_needed: bool
) -> OutputsItem:
    made = datetime.fromisoformat(record.made_at)
    reason = ""
    if is_needed and tracked.champion:
        reason = f"the champion, version {tracked.champion.version}, descends from it"
    elif record.run_id and record.run_id not in tracked.runs:
        reason = f"this MLflow knows no run {record.run_id[:SHORT_ID]}, which made it: it may be of another --env"
    return OutputsItem(
        recipe=tracked.recipe,
        kind=Kind.OUTPUTS,
        name=record.node,
        made=made,
        size=size_of(paths),
        free=lambda: _free(folder, tracked.recipe, record.node, paths),
        used=made,
        kept=reason,
        run_id=record.run_id,
    )


def _leftover(folder: DataFolder, tracked: Tracked, file: Path) -> Item:
    made = datetime.fromtimestamp(file.lstat().st_mtime, UTC)
    reason = ""
    if tracked.champion and _made_by_any(tracked, tracked.champion_runs, made):
        reason = f"made while a run went on that the champion, version {tracked.champion.version}, descends from"
    return Item(
        recipe=tracked.recipe,
        kind=Kind.FILES,
        name=str(file.relative_to(folder.project / "data")),
        made=made,
        size=size_of([file]),
        free=lambda: delete(file, folder.stage_of(file)),
        used=made,
        kept=reason,
    )


def _made_by_any(tracked: Tracked, runs: Iterable[str], made: datetime) -> bool:
    """Return whether ``made`` lies within one of ``runs``: all that is known where records are gone, or never were."""
    moment = made.timestamp() * 1000
    known = [tracked.runs[run_id].info for run_id in runs if run_id in tracked.runs]
    return any(info.start_time <= moment <= (info.end_time or moment) for info in known)


def _free(folder: DataFolder, recipe: str, node: str, paths: list[Path]) -> None:
    # The record first: without it, what is left of the outputs is made again and never reused.
    Records(folder.project, recipe).delete(node)
    for path in paths:
        delete(path, folder.stage_of(path))
