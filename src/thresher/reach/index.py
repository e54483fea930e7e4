"""Which definitions of the package a function reaches, and what other packages these use, without importing any."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from thresher.reach.source import Sources, find_folder
from thresher.reach.uses import UsesMemo
from thresher.reach.walk import Walk


@dataclass(frozen=True)
class Reach:
    """What a set of roots depends on, as code."""

    definitions: dict[str, str]
    """Qualified name -> 16 hex digits that change with its code, sorted by name.

    A class that is reached by its name is one definition. Of one that is reached by a method there are the members
    that the method uses, and under the class's own name what stands outside of its members: bases and decorators.
    Under a module's name is what it does when it is imported, besides defining.
    """
    externals: frozenset[str]
    """The top-level modules outside the package, and outside the standard library, that this code uses."""


class CodeIndex:
    """Definitions of a package by name, read from its source files as they are needed.

    Followed are all names that a definition loads, by Python's scoping: through imports, those inside functions and
    those for the type checker too, and through attributes of modules; decorators, defaults, annotations, quoted ones
    too, and bases; strings "package.module:name", and those that name a template or a style sheet beside
    the module, whose content counts. A change to a top-level name by the module's own statements (`TABLE[key] = ...`,
    `app.add(...)`, `@app.get(...)`) is part of its definition.

    Not followed are: attributes by computed names (`getattr`), what other modules or functions put into a table or
    register, subclasses of a class that is reached, and arguments, but for their annotations. What runs when a module
    is imported counts where one of its definitions is reached, and not where it is only passed through on the way.
    An attribute that `self` is given in a method counts where that method is reached.

    A class with `kind: Literal[NAME] = NAME` is one of a family of choices: where such classes are the keys of a
    dictionary, or members of a union, tuple, list or set, those of other kinds than the given are as good as absent.
    """

    def __init__(self, package: str = "thresher", folder: Path | None = None) -> None:
        """Read nothing yet.

        Args:
            package: the name of a top-level package.
            folder: where it lies; found without importing it where it is not given.
        """
        self._memo = UsesMemo(Sources(package, folder or find_folder(package)))

    def knows(self, name: str) -> bool:
        """Return whether the package has something of that qualified name to begin at."""
        try:
            self.reach([name], ())
        except LookupError:
            return False
        return True

    def reach(self, roots: Iterable[str], kinds: Collection[str]) -> Reach:
        """Return what ``roots`` reach.

        Args:
            roots: qualified names of functions, classes, constants, methods or modules; of other packages any name.
            kinds: the kinds that the recipe names.

        Raises:
            LookupError: the package has no such name.
            SourceError: a file that cannot be read as Python, or whose imports cannot be followed.
        """
        walk = Walk(self._memo, frozenset(kinds))
        for root in roots:
            walk.start(root)
        walk.finish()
        return Reach(dict(sorted(walk.definitions.items())), frozenset(walk.externals - sys.stdlib_module_names))
