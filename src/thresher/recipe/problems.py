"""pydantic's errors as a recipe's author needs them: the place in the file, what was given, what is allowed."""

from __future__ import annotations

import datetime
import types
from collections.abc import Hashable, Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from thresher.errors import nearest
from thresher.kinds.field import KindOf
from thresher.recipe.source import Place

NOUNS = {
    "float_": "a number", "finite_": "a number", "int_": "a whole number", "bool_": "true or false",
    "string_type": "text", "list_type": "a list", "tuple_type": "a list", "dict_type": "KEY: VALUE pairs",
    "model_": "KEY: VALUE pairs",
}  # fmt: skip
"""Beginning of pydantic's name of an error -> what it wants."""
BOUNDS = ("greater_than", "less_than")
WORDS = {"gt": "greater than {:,}", "ge": "of at least {:,}", "lt": "less than {:,}", "le": "of at most {:,}"}
"""What bounds a number, by pydantic's names."""


def explain(error: ErrorDetails, model: type[BaseModel]) -> tuple[Place, str, str]:
    """Return (place in the file, what is wrong, what is allowed or how to mend it) of one pydantic error."""
    place, owner, field = _locate(model, error["loc"])
    kind, given, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return place, f"unknown key '{place[-1]}'", nearest(str(place[-1]), _keys(owner))
    if kind == "missing":
        return place, f"'{place[-1]}' is missing", "It has no default; every recipe must give it."
    if kind == "union_tag_invalid":
        allowed = [tag.strip().strip("'") for tag in str(context["expected_tags"]).split(",")]
        return (*place, "kind"), f"unknown kind '{context['tag']}'", nearest(str(context["tag"]), allowed)
    if kind == "union_tag_not_found":
        return place, f"'kind' is missing in {_show(given)}", "Write it as {kind: NAME, ...}."
    if kind == "literal_error":
        allowed = [word.strip().strip("'") for word in str(context["expected"]).replace(" or ", ",").split(",")]
        return place, f"{_show(given)} is not allowed", nearest(str(given), allowed)
    if kind == "value_error":
        return place, str(context["error"]), ""
    if kind == "string_pattern_mismatch":
        what = f"{_show(given)} is not a name"
        return place, what, "Names are lower-case letters, digits and _, start with a letter, at most 63 long."
    if kind == "too_short":
        return place, f"{_show(given)} given", f"Allowed: {context['min_length']:,} of them or more."
    fix = _allowed(kind, field) or f"{error['msg']}."
    if kind == "string_type" and isinstance(given, int | float | datetime.date):
        fix = f"{fix} YAML reads this as no text: write it in quotes."
    meaning = field.description if field and place[-1:] == error["loc"][-1:] and isinstance(place[-1], str) else None
    return place, f"{_show(given)} given", f"{fix} What it means: {_first_sentence(meaning)}" if meaning else fix


def explain_all(errors: list[ErrorDetails], model: type[BaseModel]) -> list[tuple[Place, str, str]]:
    """Return each problem once: alternatives of one value joined, and no empty container for its broken items."""
    joined: dict[Place, tuple[str, list[str]]] = {}
    for error in errors:
        place, what, fix = explain(error, model)
        joined.setdefault(place, (what, []))[1].append(fix)
    too_short = {_locate(model, error["loc"])[0] for error in errors if error["type"] == "too_short"}
    hollow = {place for place in too_short if any(other[: len(place)] == place != other for other in joined)}
    return [(place, what, " Or: ".join(filter(None, fixes)))
            for place, (what, fixes) in joined.items() if place not in hollow]  # fmt: skip


def _allowed(kind: str, field: FieldInfo | None) -> str:
    """Return what ``field`` takes, with its bounds, after such an error; nothing where pydantic says it best."""
    leaves = _leaves(field.annotation) | {*field.metadata} if field else set[Any]()
    number = "a whole number" if int in leaves and float not in leaves else "a number"
    noun = next((noun for start, noun in NOUNS.items() if kind.startswith(start)), "")
    noun = number if kind.startswith(BOUNDS) else noun
    bounds = [
        words.format(getattr(leaf, name)) for name, words in WORDS.items() for leaf in leaves if hasattr(leaf, name)
    ]
    if noun.endswith("number") and bounds:
        noun += f" {' and '.join(bounds)}"
    return f"Allowed: {noun}{', or null' if type(None) in leaves else ''}." if noun else ""


def _leaves(annotation: Any) -> set[Any]:
    """Return the plain types within ``annotation``, and what bounds its numbers."""
    if isinstance(annotation, FieldInfo):
        return {*annotation.metadata}
    inner = [*get_args(annotation), *getattr(annotation, "__metadata__", ())]
    if not inner or get_origin(annotation) is Literal:
        return {annotation} if isinstance(annotation, Hashable) else set()
    return set().union(*map(_leaves, inner))


def _first_sentence(text: str) -> str:
    return f"{' '.join(text.split()).partition('. ')[0].rstrip('.')}."


def _locate(model: type[BaseModel], location: tuple[int | str, ...]) -> tuple[Place, Any, FieldInfo | None]:
    """Follow pydantic's location through the types: drop what is not in the file, return place, owner and field."""
    field: FieldInfo | None = None
    place: list[str | int] = []
    owner: Any = model
    current: Any = model
    for part in location:
        current = _unwrap(current)
        member = _member(current, part)
        if member is not None:
            current = member
            continue
        if part == "[key]":
            continue
        owner = current
        field = _field(owner, part) or field
        place.append(part)
        current = _step(current, part)
    return tuple(place), owner, field


def _field(owner: Any, name: str | int) -> FieldInfo | None:
    if not (isinstance(owner, type) and issubclass(owner, BaseModel)):
        return None
    return next((field for known, field in owner.model_fields.items() if name in (known, field.alias)), None)


def _step(current: Any, part: str | int) -> Any:
    if isinstance(current, type) and issubclass(current, BaseModel):
        field = _field(current, part)
        return next((each for each in field.metadata if isinstance(each, KindOf)), field.annotation) if field else None
    arguments = get_args(current)
    if get_origin(current) in (dict, Mapping) and len(arguments) == 2:
        return arguments[1]
    return arguments[0] if arguments else None


def _unwrap(annotation: Any) -> Any:
    """Return the type without what is written around it: pydantic's location names neither bounds nor `| None`."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation, *metadata = get_args(annotation)
            annotation = next((each for each in metadata if isinstance(each, KindOf)), annotation)
            continue
        given = [each for each in get_args(annotation) if each is not types.NoneType]
        if get_origin(annotation) not in (Union, types.UnionType) or len(given) != 1:
            return annotation
        (annotation,) = given


def _member(annotation: Any, part: str | int) -> Any:
    """Return the union's member that ``part`` names by its kind, or by its type, which pydantic puts in locations."""
    if isinstance(annotation, KindOf):
        return annotation.config_of(part)
    if get_origin(annotation) not in (Union, types.UnionType):
        return None
    for member in map(_unwrap, get_args(annotation)):
        if isinstance(member, KindOf) and (found := member.config_of(part)) is not None:
            return found
        if isinstance(member, type) and issubclass(member, BaseModel) and "kind" in member.model_fields:
            if member.model_fields["kind"].default == part:
                return member
        elif str(part).removeprefix("constrained-") == getattr(member, "__name__", "") or (
            get_origin(member) is Literal and str(part).startswith("literal[")
        ):
            return member
    return None


def _keys(owner: Any) -> list[str]:
    owner = _unwrap(owner)
    if not (isinstance(owner, type) and issubclass(owner, BaseModel)):
        return []
    return [field.alias or name for name, field in owner.model_fields.items()]


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
