"""The files of conf/ as they are written: which there are, what is wrong with them, and where a key of them stands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from thresher.errors import Problem, ThresherError
from thresher.recipe.source import Place, YamlFile, find_line, read_places

SUFFIXES = (".yml", ".yaml", ".json")


class ConfigurationError(ThresherError):
    """An environment that does not exist, an invalid option of a run, or a broken file of conf/."""


class BrokenConfError(ConfigurationError):
    """Files of conf/ that cannot be read; carries every problem found in them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        count = f"{len(self.problems)} problem{'s' if len(self.problems) != 1 else ''}"
        super().__init__(f"conf/: {count}\n" + "\n".join(f"  {problem}" for problem in self.problems))

    def __reduce__(self) -> tuple[type, tuple[list[Problem]]]:
        return (type(self), (self.problems,))


class ConfFiles:
    """All files of one kind, such as those of the catalog, of the folders that a run reads."""

    def __init__(self, conf: Path, folders: Iterable[str], patterns: Sequence[str]) -> None:
        """Read them.

        Args:
            conf: the folder conf/ of the project.
            folders: base, then the environment's, whose keys replace those of base.
            patterns: as Kedro has them, such as `catalog*`.
        """
        self.files: list[YamlFile] = []
        for folder in dict.fromkeys(folders):
            for path in _find(conf / folder, patterns):
                self.files.append(read_places(path, f"{conf.name}/{path.relative_to(conf).as_posix()}"))

    @property
    def names(self) -> str:
        """The files, for a sentence."""
        return ", ".join(file.name for file in self.files)

    @property
    def problems(self) -> list[Problem]:
        """What is wrong with the files themselves."""
        problems = [problem for file in self.files for problem in file.problems]
        for file in self.files:
            if not file.problems and not isinstance(file.values, (Mapping, type(None))):
                what = f"holds a {type(file.values).__name__} where a mapping of names is expected"
                problems.append(Problem(file.name, what, "Write NAME: {...}, without a dash before it."))
        return problems

    def require(self) -> None:
        """Raise a BrokenConfError where a file cannot be read."""
        if self.problems:
            raise BrokenConfError(self.problems)

    def where(self, place: Place) -> str:
        """Return "conf/base/catalog.yml:12 NAME.ARGUMENT": in the file that counts, the line as near as there is."""
        shown = ".".join(map(str, place))
        for file in reversed(self.files):
            if place[:1] in file.lines:
                return f"{file.name}:{find_line(place, file.lines)} {shown}"
        return f"{self.names or 'conf/'} {shown}"

    def holds(self, place: Place) -> bool:
        """Return whether a file says something at ``place``."""
        return any(place in file.lines for file in self.files)

    def values(self) -> dict[str, Any]:
        """Return the top keys of all files, those of the environment in place of those of base."""
        mappings = [file.values for file in self.files if isinstance(file.values, Mapping)]
        return {key: value for mapping in mappings for key, value in mapping.items()}


def _find(folder: Path, patterns: Sequence[str]) -> list[Path]:
    """Return the files that Kedro would read: no hidden ones, YAML or JSON."""
    # Python's own ** is of folders alone, Kedro's of files as well.
    wanted = [*patterns, *(f"{pattern}/*" for pattern in patterns if pattern.endswith("**"))]
    found = {path for pattern in wanted for path in folder.glob(pattern) if folder.is_dir()}
    return sorted(
        path
        for path in found
        if path.is_file()
        and path.suffix in SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
