"""What readers take, for people and for editors: the page docs/readers.md and the JSON schema of catalog entries."""

from __future__ import annotations

import inspect
from typing import Any

import yaml

from thresher import readers
from thresher.kinds.record import ReaderKind
from thresher.kinds.registry import registry
from thresher.readers.base import RawSamples
from thresher.readers.option_errors import allowed_of
from thresher.readers.options import ReaderOptions

HEAD = """\
# Readers

<!-- made by `thresher readers > docs/readers.md` -->

Every argument of every reader, as an entry of the catalog gives it ([Add your own data](own_data.md) shows whole
entries). The `type` is `thresher.readers.` and the reader's name. `thresher check` holds each entry against this
page: types are strict, so that `'no'` is not false and `NA` is no list. An editor that knows JSON schemas checks and
completes entries by [catalog.schema.json](catalog.schema.json).

## Arguments of all readers

"""
COMMON = tuple(ReaderOptions.model_fields)


def all_readers() -> list[type[RawSamples[Any]]]:
    """Return the readers in the order of their names."""
    return [kind.load() for kind in sorted(registry().usable(ReaderKind), key=lambda kind: kind.name)]


def readers_page() -> str:
    """Return the page, Markdown."""
    parts = [HEAD + _table(ReaderOptions, list(COMMON))]
    for reader in all_readers():
        fields = reader.options_type.model_fields
        own = [name for name in _ordered(reader.options_type) if name not in COMMON or fields[name].is_required()]
        about = " ".join((inspect.getdoc(reader) or "").split())
        parts.append(f"## {reader.__name__}\n\n{about}\n\n{_table(reader.options_type, own)}")
    return "\n".join(parts)


def catalog_schema() -> dict[str, Any]:
    """Return the JSON schema of a catalog: entries of Thresher's readers are checked, others are left alone."""
    rules, definitions = [], {}
    for reader in all_readers():
        schema = reader.options_type.model_json_schema()
        name = f"{reader.__module__}.{reader.__name__}"
        kind = {"const": f"{readers.__name__}.{reader.__name__}", "description": inspect.getdoc(reader)}
        schema["properties"] = {"type": kind, **schema["properties"]}
        definitions[reader.__name__] = schema
        named = {
            "properties": {"type": {"enum": sorted({name, f"{readers.__name__}.{reader.__name__}"})}},
            "required": ["type"],
        }
        rules.append({"if": named, "then": {"$ref": f"#/$defs/{reader.__name__}"}})
    entry = {"type": "object", "required": ["type"], "allOf": rules}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Catalog",
        "type": "object",
        "patternProperties": {"^_": {}},
        "additionalProperties": entry,
        "$defs": definitions,
    }


def _ordered(model: type[ReaderOptions]) -> list[str]:
    """Return the fields: those that must be given, then the reader's own, then what it shares with others."""
    own = [name for name in model.model_fields if name in model.__annotations__]
    names = list(dict.fromkeys([*own, *model.model_fields]))
    return sorted(names, key=lambda name: not model.model_fields[name].is_required())


def _table(model: type[ReaderOptions], names: list[str]) -> str:
    rows = ["| argument | allowed | default | meaning |", "| --- | --- | --- | --- |"]
    for name in names:
        field = model.model_fields[name]
        cells = (f"`{name}`", allowed_of(model, name), _default(field), field.description or "")
        rows.append(f"| {' | '.join(map(_cell, cells))} |")
    return "\n".join(rows) + "\n"


def _default(field: Any) -> str:
    if field.is_required():
        return "must be given"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "-"
    return f"`{yaml.safe_dump([value], default_flow_style=True, width=1000, allow_unicode=True).strip()[1:-1]}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
