"""New data to answers in one file: the parts that are not there yet, then the whole with its report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from thresher.errors import DataError
from thresher.prediction.csv_blocks import limited_fields
from thresher.prediction.inputs import Input, Wanted
from thresher.prediction.parts import Parts, check_output
from thresher.prediction.piece import Piece
from thresher.prediction.remote import shown
from thresher.prediction.report import Report, make_report
from thresher.prediction.scoring import Scorer, score_all
from thresher.prediction.where import read_conditions
from thresher.serving.core.bundle import Bundle, hash_content

FORMAT = 1
"""Of the parts; it grows where what is in them changes."""


@dataclass(frozen=True)
class Request:
    """What the user asks for.

    Attributes:
        data: a file or a folder; of an `address` the copy of it, once that is here.
        output: a Parquet or CSV file.
        explain: whether each answer gets the importance of its sample's parts.
        id: the column that says what each sample is called.
        drop: columns that are not used.
        where: conditions, as text.
        address: of the data, where it is no path.
    """

    recipe: str
    data: Path
    output: Path
    explain: bool = False
    id: str | None = None
    drop: tuple[str, ...] = ()
    where: tuple[str, ...] = ()
    address: str = ""

    def check(self) -> Wanted:
        """Return what is asked of the columns.

        Raises:
            DataError: no such data, an output of another format, a condition that is none.
        """
        check_output(self.output)
        if not self.address and not self.data.exists():
            raise DataError(f"--in: {self.data}: no such file or folder. Fix: correct it.")
        return Wanted(self.id, self.drop, read_conditions(self.where))


def write_answers(
    request: Request, bundle: Bundle, options: Any, data_hash: str | None, metrics: tuple[str, ...] = ()
) -> Report:
    """Write the model's answers to new data, and a report; the parts stay until `Parts.remove`.

    Args:
        options: of the reader of the test data, None for a reader's own defaults.
        data_hash: of the data's content; parts of another content are not gone on with.
        metrics: that the recipe names.

    Raises:
        ThresherError: what the user can mend, of the data or the output.
    """
    parts = Parts(request.output, _identity(request, bundle, options, data_hash))
    with limited_fields():
        given = Input(request.data, bundle.encoder, options, request.check())
        if given.not_used:
            click.echo(f"{request.data.name}: not used, column {', '.join(given.not_used[:10])}.", err=True)
        with parts.locked():
            if said := parts.begin():
                click.echo(said, err=True)
            parts.drop_damaged()
            scorer = Scorer(bundle, given, request.explain)
            count = _score(request, given, scorer, parts)
            report = make_report(parts, count, bundle.encoder, scorer.profile, metrics, rule=bundle.info.decision)
            parts.publish(count, {**describe(request, bundle), **report.model_dump(mode="json")})
    return report


def _score(request: Request, given: Input, scorer: Scorer, parts: Parts) -> int:
    """Make the parts that are not there yet, and return how many there are."""
    before, done, count = _stat(request.data), parts.done, 0

    with _progress(request.recipe, given.size) as told:

        def waiting() -> Iterator[Piece]:
            nonlocal count
            for piece in given.source.pieces(scorer.max_rows):
                count += 1
                if piece.number in done:
                    told(piece)
                else:
                    yield piece

        try:
            score_all(waiting(), scorer, lambda piece, table: parts.write(piece.number, table), told)
        except KeyboardInterrupt:
            click.echo(f"Interrupted. {len(parts.done)} parts are kept; the same command goes on with them.", err=True)
            raise
    if _stat(request.data) != before:
        parts.remove()
        raise DataError(f"{request.data} has changed while it was read. Fix: run again once nobody writes to it.")
    return count


def _identity(request: Request, bundle: Bundle, options: Any, data_hash: str | None) -> dict[str, Any]:
    """Return what decides the content of the output, by what it is called where it has changed."""
    info = bundle.info
    model = (request.recipe, info.model_version, hash_content(bundle.onnx_bytes, bundle.encoder))
    return {
        "format": FORMAT,
        "model": [*model, info.max_batch_size, info.threads],
        "input": data_hash,
        "way of reading": None if options is None else json.loads(options.model_dump_json()),
        "set of options": [request.explain, request.id, sorted(request.drop), list(request.where)],
    }


def describe(request: Request, bundle: Bundle) -> dict[str, Any]:
    """Return whose answers they are, and to what."""
    info = bundle.info
    return {
        "recipe": request.recipe,
        "model_version": info.model_version,
        "candidate": info.candidate,
        "input": shown(request.address) if request.address else str(request.data.resolve()),
        "output": str(request.output.resolve()),
    }


@contextmanager
def _progress(recipe: str, total: int) -> Iterator[Any]:
    """Give a function that is told each piece that is done."""
    columns = (TextColumn("[bold]{task.description}"), BarColumn(24), TaskProgressColumn(), TimeElapsedColumn())
    samples = TextColumn("{task.fields[samples]:,} samples")
    console = Console(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), samples, console=console, disable=not console.is_terminal) as bar:
        task, num = bar.add_task(recipe, total=total, samples=0), 0

        def told(piece: Piece) -> None:
            nonlocal num
            num += piece.count
            bar.update(task, completed=max(piece.bytes_read, bar.tasks[task].completed), samples=num)

        yield told


def _stat(path: Path) -> tuple[int, int, int] | None:
    if not path.exists():
        return None
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns
