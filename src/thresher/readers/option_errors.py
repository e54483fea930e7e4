"""What is wrong with the arguments of a reader, all of it at once: what was given, what is allowed, what to write."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from thresher.errors import DataError, nearest
from thresher.readers.options import ReaderOptions, RefusedError, Says

PLAIN = {str: "text", bool: "true or false", int: "a whole number", float: "a number", dict: "a mapping"}
Place = tuple[str | int, ...]
"""The argument, and what of it: an index or a key."""
Options = TypeVar("Options", bound=ReaderOptions)


@dataclass(frozen=True)
class ArgumentProblem:
    """One mistake in the arguments of a reader.

    Attributes:
        place: the argument, and what of it.
        what: what is wrong.
        fix: what is allowed, and what to write.
    """

    place: Place
    what: str
    fix: str

    def __str__(self) -> str:
        return f"{'.'.join(map(str, self.place))}: {self.what}. {self.fix}".rstrip()


class ArgumentsError(DataError):
    """Arguments that a reader cannot take; carries every problem found in them."""

    def __init__(self, reader: str, problems: list[ArgumentProblem]) -> None:
        self.reader, self.problems = reader, problems
        count = f"{len(problems)} problems in its arguments\n  " if len(problems) > 1 else ""
        super().__init__(f"{reader}: {count}" + "\n  ".join(map(str, problems)))

    def __reduce__(self) -> tuple[type, tuple[str, list[ArgumentProblem]]]:
        return (type(self), (self.reader, self.problems))


def read_options(reader: str, model: type[Options], arguments: Mapping[str, Any]) -> Options:
    """Return ``arguments`` as ``model``, that of ``reader``.

    Raises:
        ArgumentsError: with every problem that was found.
    """
    try:
        return model.model_validate(arguments)
    except ValidationError as error:
        raise ArgumentsError(reader, _explain(error, model, arguments)) from None


def find_problems(model: type[ReaderOptions], arguments: Mapping[str, Any]) -> list[ArgumentProblem]:
    """Return all that is wrong with ``arguments``, nothing where they can be taken."""
    try:
        model.model_validate(arguments)
    except ValidationError as error:
        return _explain(error, model, arguments)
    return []


def describe_allowed(annotation: Any) -> str:
    """Return what ``annotation``, the type of a field, allows, in words."""
    origin, members = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return next((part.words for part in members[1:] if isinstance(part, Says)), describe_allowed(members[0]))
    if origin in (Union, types.UnionType):
        return ", or ".join(dict.fromkeys(describe_allowed(one) for one in members if one is not type(None)))
    if origin is Literal:
        return " or ".join(map(str, members))
    if origin is list:
        return f"a list, each {describe_allowed(members[0])}"
    return PLAIN.get(origin or annotation, "anything")


def allowed_of(model: type[ReaderOptions], name: str) -> str:
    """Return what the field ``name`` of ``model`` allows, in words."""
    field = model.model_fields[name]
    # pydantic takes an Annotated apart: what stood beside the type is in the field's metadata.
    return next((part.words for part in field.metadata if isinstance(part, Says)), describe_allowed(field.annotation))


def show(value: Any) -> str:
    """Return ``value`` as it is told to whoever wrote it, at most 80 characters."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _explain(error: ValidationError, model: type[ReaderOptions], arguments: Mapping[str, Any]) -> list[ArgumentProblem]:
    """Return the problems in the order of the errors: one an argument, its first broken item."""
    told: dict[str | int, ArgumentProblem] = {}
    found = [(_locate(arguments, item["loc"]), item) for item in error.errors(include_url=False)]
    for place, item in found:
        deeper = any(len(other) > len(place) and other[: len(place)] == place for other, _ in found)
        if not deeper and place[0] not in told:
            shown = place[:-1] if "[key]" in item["loc"] else place
            told[place[0]] = ArgumentProblem(shown, *_explain_one(place, item, model, arguments))
    return list(told.values())


def _locate(arguments: Mapping[str, Any], location: Place) -> Place:
    """Return the way to the value: pydantic's location also names the alternatives of a type, which are left out."""
    place, value = [location[0]], arguments.get(str(location[0]))
    for part in location[1:]:
        if part in value if isinstance(value, Mapping) else isinstance(value, list) and isinstance(part, int):
            place.append(part)
            value = value[part]  # type: ignore[index]
    return tuple(place)


def _explain_one(
    place: Place, item: ErrorDetails, model: type[ReaderOptions], arguments: Mapping[str, Any]
) -> tuple[str, str]:
    """Return what is wrong, and what is allowed or to be written."""
    name, reason = str(place[0]), item.get("ctx", {}).get("error")
    if item["type"] == "extra_forbidden":
        return "there is no such argument", nearest(name, model.model_fields)
    if isinstance(reason, RefusedError):
        return reason.what, reason.fix
    if item["type"] == "value_error":
        return str(reason), ""
    if item["type"] == "missing":
        meaning = " ".join((model.model_fields[name].description or "").split())
        return "it is missing", f"Allowed: {allowed_of(model, name)}. {meaning}"
    given = item["input"]
    choices = _choices(model.model_fields[name].annotation)
    meant, _, _ = nearest(given, choices).partition("Allowed: ") if isinstance(given, str) else ("", "", "")
    advice = "" if choices else _advise(model, name, arguments, given)
    return f"{show(given)} given", f"{meant}Allowed: {allowed_of(model, name)}. {advice}".rstrip()


def _choices(annotation: Any) -> list[str]:
    """Return the words that a type allows by name."""
    if get_origin(annotation) is Literal:
        return [word for word in get_args(annotation) if isinstance(word, str)]
    return [word for part in get_args(annotation) for word in _choices(part)]


def _advise(model: type[ReaderOptions], name: str, arguments: Mapping[str, Any], given: Any) -> str:
    """Return what to write for what was probably meant: the first rewriting that the model takes."""
    for meant in _readings(arguments[name]):
        if name not in _broken_fields(model, {**arguments, name: meant}):
            value = yaml.safe_dump([meant], default_flow_style=True, width=10_000, allow_unicode=True).strip()
            return f"Fix: write {name}: {value[1:-1]}"
    if not isinstance(given, (str, list, Mapping)) and _mentions(model.model_fields[name].annotation, str):
        return f"YAML reads it as {show(given)}. Fix: put it into quotes, if it is meant as text."
    return ""


def _broken_fields(model: type[ReaderOptions], arguments: Mapping[str, Any]) -> set[str]:
    try:
        model.model_validate(arguments)
    except ValidationError as error:
        return {str(item["loc"][0]) for item in error.errors(include_url=False, include_input=False)}
    return set()


def _readings(value: Any) -> list[Any]:
    """Return what else ``value`` may have been meant to be: without quotes, as a list, as true or false."""
    if isinstance(value, str):
        listed = [part.strip() for part in value.strip("[] ").split(",") if part.strip()]
        return [_unquoted(value), *([listed] if len(listed) > 1 else []), [value]] if value.strip() else []
    if isinstance(value, float) and value.is_integer():
        return [int(value)]
    return [bool(value)] if type(value) is int and value in (0, 1) else []


def _unquoted(text: str) -> Any:
    try:
        return yaml.safe_load(text) if len(text) < 100 else text
    except (yaml.YAMLError, ValueError):
        return text


def _mentions(annotation: Any, kind: type) -> bool:
    return annotation is kind or any(_mentions(part, kind) for part in get_args(annotation))
