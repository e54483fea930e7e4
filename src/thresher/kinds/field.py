"""The type of a recipe's field that holds the settings of a kind: which class they are is looked up by their `kind`.

It acts as a pydantic union with the discriminator `kind` over all kinds of a group: its errors and its JSON schema are
those of the union, but only the class that is named is imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

from thresher.config import Config
from thresher.kinds.record import Kind, KindError, ModelKind
from thresher.kinds.registry import Registry, registry

_NONE = object()


@dataclass(frozen=True)
class KindOf:
    """Marks a field as holding the settings of a kind: `Annotated[KindConfig, KindOf(TechniqueKind)]`.

    Attributes:
        of: the class of their records.
        is_trained_here: of the models, only networks that Thresher trains.
        part: the attribute of the record that names the class.
    """

    of: type[Kind]
    is_trained_here: bool = False
    part: str = "config"

    def config_of(self, name: object) -> type[Any] | None:
        """Return the class of the settings of the kind ``name``; None if it is not allowed or cannot be imported."""
        try:
            kind = self._find(registry(), name)
            return None if kind is None else kind.class_of(self.part)
        except KindError:
            return None

    def _find(self, kinds: Registry, name: object) -> Kind | None:
        """Return the record of the kind ``name``; None if there is none; raises a KindError if it cannot be used."""
        if not isinstance(name, str) or name not in kinds.names(self.of.group):
            return None
        kind = kinds.find(self.of, name)
        return kind if self._allows(kind) else None

    def _allows(self, kind: Kind) -> bool:
        return not self.is_trained_here or (isinstance(kind, ModelKind) and kind.is_trained_here and kind.is_network)

    def _validate(self, value: Any) -> Any:
        given = value.get("kind", _NONE) if isinstance(value, Mapping) else getattr(value, "kind", _NONE)
        kinds = registry()
        try:
            kind = self._find(kinds, given)
            if kind is not None:
                return _union(((kind.name, kind.class_of(self.part)),)).validate_python(value)
        except KindError as error:
            raise ValueError(str(error)) from error
        if given is _NONE:  # pydantic's own words for it
            return _union((("", Config),)).validate_python(value)
        if kinds.problem:
            raise ValueError(f"unknown kind '{given}'. {kinds.problem}")
        allowed = kinds.names(self.of.group) if not self.is_trained_here else [each.name for each in self._all(kinds)]
        tags = ", ".join(f"'{name}'" for name in allowed)
        raise PydanticKnownError(
            "union_tag_invalid", {"discriminator": "'kind'", "tag": str(given), "expected_tags": tags}
        )

    def _all(self, kinds: Registry) -> list[Kind]:
        return [kind for kind in kinds.usable(self.of) if self._allows(kind)]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._validate)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        choices = []
        for kind in self._all(registry()):
            try:
                choices.append((kind.name, kind.class_of(self.part)))
            except KindError:  # told by the recipe that uses it, and by `thresher kinds`
                continue
        return handler(_union(tuple(choices)).core_schema)


@dataclass(frozen=True)
class NameOf:
    """Marks a field as holding the name of a kind of which ``trait`` is true: `Annotated[str, NameOf(...)]`.

    Attributes:
        of: the class of their records.
        trait: an attribute of that class.
    """

    of: type[Kind]
    trait: str

    def _names(self) -> list[str]:
        return [kind.name for kind in registry().usable(self.of) if getattr(kind, self.trait)]

    def _validate(self, value: Any) -> str:
        if value not in (names := self._names()):
            if registry().problem:
                raise ValueError(f"there is no {self.of.group} '{value}' here. {registry().problem}")
            expected = " or ".join(", ".join(f"'{name}'" for name in names).rsplit(", ", 1))
            raise PydanticKnownError("literal_error", {"expected": expected})
        return str(value)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._validate)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        names = self._names()
        return {"enum": names, "type": "string"} if names else {"type": "string"}


class _Union:
    """The core schema of a union by `kind`, also of one class alone."""

    def __init__(self, choices: tuple[tuple[str, type], ...]) -> None:
        self._choices = choices

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schemas = {name: handler.generate_schema(config) for name, config in self._choices}
        return core_schema.tagged_union_schema(schemas, "kind")


@cache
def _union(choices: tuple[tuple[str, type], ...]) -> TypeAdapter[Any]:
    return TypeAdapter(Annotated[Any, _Union(choices)])
