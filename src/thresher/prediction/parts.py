"""The parts of an output, in a folder beside it: each is whole or not there, and a later run goes on with them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from thresher.errors import DataError, ThresherError
from thresher.files import replacing_file
from thresher.prediction.scoring import ABOUT, TRUTH

FORMATS = (".parquet", ".csv")
"""Suffixes of an output, in small letters or capitals."""
NOTE, WHOLE = "note.json", "whole"
Identity = dict[str, Any]
"""What decides the content of the parts: word for a person -> value."""


class OutputError(ThresherError):
    """An output that cannot be written."""


class Parts:
    """The parts of one output.

    Args:
        output: the file that they become.
        identity: what they are made of; parts of anything else are deleted.
    """

    def __init__(self, output: Path, identity: Identity) -> None:
        self.output, self.folder = output, output.with_name(f"{output.name}.parts")
        self._identity: Identity = json.loads(json.dumps(identity))

    @property
    def rejected_file(self) -> Path:
        """The file of the samples that have no answer."""
        return self.output.with_name(f"{self.output.stem}.rejected.jsonl")

    @property
    def report_file(self) -> Path:
        """The file of counts, drift and metrics."""
        return self.output.with_name(f"{self.output.stem}.report.json")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep the parts for this process until the block ends.

        Raises:
            OutputError: another process has them, the output is there already, or its folder cannot be written to.
        """
        if not self.output.parent.is_dir():
            raise OutputError(f"{self.output.parent}: no such folder. Fix: make it, or correct --out.")
        try:
            self.folder.mkdir(exist_ok=True)
            (self.folder / "lock").touch()
        except OSError as error:
            what = f"{self.output}: cannot be written ({error.strerror or error})"
            raise OutputError(f"{what}. Fix: name a file in a folder that you may write to as --out.") from error
        try:
            with FileLock(self.folder / "lock", timeout=0):
                yield
        except Timeout:
            what = f"{self.output} is being written by another process"
            raise OutputError(f"{what}. Fix: wait for its end, or name another file as --out.") from None

    def begin(self) -> str:
        """Keep the parts that an interrupted run has left, or delete them; return in a sentence what was done.

        Raises:
            OutputError: the output is there already, and is none of these parts'.
        """
        found = self._read_note()
        changed = [name for name in self._identity if found.get(name) != self._identity[name]] if found else []
        if self.output.exists() and (changed or not found or not self.is_published):
            self._discard()
            what = f"{self.output} is there already"
            raise OutputError(f"{what}. Fix: name another file as --out, or remove it.")
        if not found or changed:
            self._refuse_others()
        if found and not changed:
            return f"Going on with {len(self.done)} parts that are there." if self.done else ""
        self._discard(keep=True)
        self._write_note(self._identity)
        return f"Parts of before are of another {' and '.join(changed)}: it begins anew." if changed else ""

    def _refuse_others(self) -> None:
        """Raise an OutputError where the files beside the output are another one's, of the same name but the suffix."""
        if there := next((file for file in (self.report_file, self.rejected_file) if file.exists()), None):
            self._discard()
            raise OutputError(f"{there} is there already. Fix: name another file as --out, or remove it.")

    @property
    def done(self) -> set[int]:
        """The numbers of the parts that are there."""
        return {int(path.stem) for path in self.folder.glob("*.arrow") if path.stem.isdecimal()}

    def write(self, number: int, table: Any) -> None:
        """Keep ``table`` as a part."""
        import pyarrow as pa

        with (
            replacing_file(self.folder / f"{number:06}.arrow") as path,
            pa.OSFile(str(path), "wb") as file,
            pa.ipc.new_file(file, table.schema) as writer,
        ):
            writer.write_table(table)

    def read(self, number: int) -> Any:
        """Return a part's table."""
        import pyarrow as pa

        with pa.OSFile(str(self.folder / f"{number:06}.arrow"), "rb") as file:
            return pa.ipc.open_file(file).read_all()

    def read_about(self, number: int) -> dict[str, Any]:
        """Return what is said of a part, without its table."""
        import pyarrow as pa

        with pa.OSFile(str(self.folder / f"{number:06}.arrow"), "rb") as file:
            about: dict[str, Any] = json.loads(pa.ipc.open_file(file).schema.metadata[ABOUT])
        return about

    def drop_damaged(self) -> None:
        """Delete parts that cannot be read, as a machine that lost its power leaves them."""
        import pyarrow as pa

        for number in sorted(self.done):
            try:
                self.read_about(number)
            except (pa.ArrowException, OSError, KeyError, TypeError, ValueError):
                (self.folder / f"{number:06}.arrow").unlink()

    @property
    def is_published(self) -> bool:
        """Whether the parts have become the output."""
        return bool(self._read_note().get(WHOLE)) and self.output.exists() and not self._whole.exists()

    def publish(self, count: int, report: dict[str, Any]) -> None:
        """Make one file of all ``count`` parts, with those of rejected samples and the report beside it."""
        assert self.done == set(range(count)), (count, len(self.done))
        if not self.is_published:
            with replacing_file(self._whole) as path, _open_writer(path, self.output.suffix.lower()) as write:
                for number in range(count):
                    table = self.read(number)
                    write(table.drop_columns([TRUTH]) if TRUTH in table.column_names else table)
            self._write_note({**self._identity, WHOLE: True})
        self._publish_rejected(count)
        with replacing_file(self.report_file) as path:
            path.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        if self._whole.exists():
            if self.output.exists():
                what = f"{self.output} was made by something else meanwhile"
                raise OutputError(f"{what}. Fix: move it away, and run the same command: nothing is computed again.")
            self._whole.replace(self.output)

    def remove(self) -> None:
        """Delete the parts."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _whole(self) -> Path:
        return self.folder / f"whole{self.output.suffix}"

    def _publish_rejected(self, count: int) -> None:
        with replacing_file(self.rejected_file) as path:
            num_rejected = 0
            with path.open("w", encoding="utf-8") as file:
                for number in range(count):
                    for row, place, reason in self.read_about(number)["rejected"]:
                        said = {"number": row, "place": place, "reason": reason}
                        file.write(json.dumps(said, ensure_ascii=False) + "\n")
                        num_rejected += 1
        if not num_rejected:
            self.rejected_file.unlink()

    def _read_note(self) -> dict[str, Any]:
        try:
            found = json.loads((self.folder / NOTE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _write_note(self, note: dict[str, Any]) -> None:
        with replacing_file(self.folder / NOTE) as path:
            path.write_text(json.dumps(note, indent=2), encoding="utf-8")

    def _discard(self, keep: bool = False) -> None:
        for path in self.folder.iterdir() if keep else ():
            if path.name != "lock":
                path.unlink()
        if not keep and not self._read_note():
            self.remove()


@contextmanager
def _open_writer(path: Path, suffix: str) -> Iterator[Any]:
    """Give a function that appends tables, all of one schema, to the Parquet or CSV file at ``path``."""
    from pyarrow import csv, parquet

    writer: Any = None

    def write(table: Any) -> None:
        nonlocal writer
        plain = table.replace_schema_metadata(None)
        if writer is None:
            make = parquet.ParquetWriter if suffix == ".parquet" else csv.CSVWriter
            writer = make(path, plain.schema)
        writer.write_table(plain)

    try:
        yield write
    finally:
        if writer is not None:
            writer.close()


def check_output(path: Path) -> None:
    """Raise a DataError where ``path`` is no name of a file that can be written."""
    if path.suffix.lower() not in FORMATS:
        raise DataError(f"--out: {path} is neither Parquet nor CSV. Fix: a name that ends in .parquet or .csv.")
    if path.is_dir():
        raise DataError(f"--out: {path} is a folder. Fix: name a file.")
