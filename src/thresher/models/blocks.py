"""Which blocks of a network are left, such as the layers of a Transformer that `drop_layers` has kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field
from torch import nn

Places = tuple[Annotated[int, Field(ge=0)], ...]
KeptBlocks = dict[str, Places]
"""List of modules -> the places of those that are left, as the settings build it."""


def keep_blocks(body: nn.Module, kept: Mapping[str, Sequence[int]]) -> None:
    """Leave in each list of ``body``, an nn.ModuleList or nn.Sequential, the modules at these places of it.

    They are numbered anew. Where they were built stands in the list's `places`.

    Raises:
        ValueError: a list without such a place.
    """
    for name, places in kept.items():
        modules: Any = body.get_submodule(name)
        built = getattr(modules, "places", tuple(range(len(modules))))
        if not set(places) <= set(range(len(built))):
            raise ValueError(f"{name or 'the network'} has {len(built)} modules, and {list(places)} are to be kept")
        for place in reversed(range(len(built))):
            if place not in places:
                del modules[place]
        modules.places = tuple(built[place] for place in places)


def rename(name: str, kept: Mapping[str, Sequence[int]]) -> str | None:
    """Return what the layer ``name`` is called after `keep_blocks`; None where it is gone."""
    for modules, places in kept.items():
        prefix = f"{modules}." if modules else ""
        number, _, rest = name.removeprefix(prefix).partition(".")
        if name.startswith(prefix) and number.isdigit():
            if int(number) not in places:
                return None
            name = f"{prefix}{list(places).index(int(number))}{'.' if rest else ''}{rest}"
    return name
