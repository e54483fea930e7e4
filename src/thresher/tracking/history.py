"""Who was champion when, and why: every move of the registry's aliases, as a tag of the registered model."""

from __future__ import annotations

import getpass
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from pydantic import ValidationError

from thresher.config import Config
from thresher.errors import ThresherError
from thresher.tracking.run_context import current

Alias = Literal["champion", "challenger"]
How = Literal["run", "promote", "rollback"]
CHAMPION: Alias = "champion"
CHALLENGER: Alias = "challenger"
PREFIX = "thresher.move."
MAX_REASON = 1000
"""Characters. MLflow's database has 5000 for the value of a tag, and JSON may write a character as six."""
RUN: How = "run"
PROMOTE: How = "promote"
ROLLBACK: How = "rollback"
ELSEWHERE = "elsewhere"


class HistoryError(ThresherError):
    """A move in the registry's tags that cannot be read."""


class Move(Config):
    """An alias went from one version to another."""

    alias: Alias = CHAMPION
    move: How
    version: str
    """The version that has the alias since."""
    former: str = ""
    """The version that had it before; empty where none had."""
    at: datetime
    reason: str
    run_id: str = ""
    """The MLflow run that did it; empty where a person did."""
    by: str = ""
    """The user's name on the machine that it was done on."""


@dataclass(frozen=True)
class Reign:
    """The time that one version was champion.

    Attributes:
        began: None where nothing has recorded it.
        ended: None while it lasts, and where nothing has recorded the end.
        move: how it began; `elsewhere` where the alias was moved by something else, such as MLflow's own page.
    """

    version: str
    began: datetime | None
    ended: datetime | None
    move: str
    reason: str
    by: str = ""
    run_id: str = ""


def read_moves(tags: Mapping[str, str]) -> list[Move]:
    """Return the moves in the ``tags`` of a registered model, the oldest first.

    Raises:
        HistoryError: a tag is not what this writes; it names the tag.
    """
    moves = []
    for key in sorted(key for key in tags if key.startswith(PREFIX)):
        try:
            moves.append(Move.model_validate_json(tags[key]))
        except ValidationError as error:
            raise HistoryError(
                f"The registered model's tag '{key}' in MLflow is none of Thresher's: {error.errors()[0]['msg']}. "
                "Fix: delete this tag; what is left of the history counts."
            ) from error
    return moves


def find_reigns(moves: Iterable[Move], champion: str) -> list[Reign]:
    """Return who was champion, the oldest first, with what something else did between the ``moves``.

    Args:
        champion: the version that has the alias now; empty where none has.
    """
    reigns: list[Reign] = []
    for move in (move for move in moves if move.alias == CHAMPION):
        _note(reigns, move.former)
        _end(reigns, move.at)
        reigns.append(Reign(move.version, move.at, None, move.move, move.reason, move.by, move.run_id))
    _note(reigns, champion)
    return reigns


def find_former(moves: Iterable[Move], champion: str) -> str:
    """Return the version that a rollback returns to: champion before today's became it; empty where there is none.

    A rollback takes back one step, and the next one the step before that: who was rolled back from does not return
    by another rollback.

    Args:
        champion: the version that has the alias now; empty where none has: then the last one returns.
    """
    line: list[str] = []
    for move in (move for move in moves if move.alias == CHAMPION):
        _follow(line, move.former)
        if move.move == ROLLBACK and move.version in line:
            while line[-1] != move.version:
                line.pop()
        else:
            _follow(line, move.version)
    _follow(line, champion)
    if champion:
        line.pop()
    return line[-1] if line else ""


def find_set_aside(moves: Iterable[Move], contents: Mapping[str, str]) -> dict[str, str]:
    """Return content -> who chose another champion over it and why, without what was champion again since.

    Args:
        contents: version -> the hash of its model and encoder.
    """
    found: dict[str, str] = {}
    for move in (move for move in moves if move.alias == CHAMPION):
        chosen = contents.get(move.version, "")
        if move.move != RUN and move.former in contents:
            found[contents[move.former]] = _describe_choice(move)
            if contents[move.former] == chosen:  # the very same model, served otherwise
                continue
        found.pop(chosen, None)
    return found


def find_choice(moves: Iterable[Move], champion: str) -> Move | None:
    """Return the move by which a person made today's ``champion`` the champion; None where a run did."""
    last = next((move for move in reversed(list(moves)) if move.alias == CHAMPION), None)
    return last if last and last.move != RUN and last.version == champion else None


def _describe_choice(move: Move) -> str:
    if move.move == ROLLBACK:
        return f"it was rolled back from as version {move.former}: {move.reason}"
    return f"version {move.version} was promoted over it, version {move.former}: {move.reason}"


def move_alias(recipe: str, version: str, move: How, reason: str, alias: Alias = CHAMPION) -> Move:
    """Give ``alias`` to ``version`` of ``recipe`` and record it; return the record.

    A version that becomes champion is no challenger any more.

    Raises:
        MlflowException: the registry cannot be asked or changed.
    """
    from mlflow import MlflowClient

    client = MlflowClient()
    registered = client.get_registered_model(recipe)
    aliases = {name: str(number) for name, number in registered.aliases.items()}
    record = Move(
        alias=alias,
        move=move,
        version=version,
        former=aliases.get(alias, ""),
        at=datetime.now(UTC),
        reason=shorten(reason),
        run_id=current().run_id if move == RUN else "",
        by=_user(),
    )
    client.set_registered_model_alias(recipe, alias, version)
    if alias == CHAMPION and aliases.get(CHALLENGER) == version:
        client.delete_registered_model_alias(recipe, CHALLENGER)
    # Beside each other: two machines that write at once, each under the next number, overwrite nothing.
    number = max((int(key.split(".")[2]) for key in registered.tags if key.startswith(PREFIX)), default=0) + 1
    client.set_registered_model_tag(
        recipe, f"{PREFIX}{number:06}.{uuid.uuid4().hex[:8]}", record.model_dump_json(exclude_defaults=True)
    )
    return record


def shorten(reason: str) -> str:
    """Return ``reason``, which a run gave, in the characters that a tag has for it."""
    return reason if len(reason) <= MAX_REASON else reason[: MAX_REASON - 3] + "..."


def _follow(line: list[str], version: str) -> None:
    """Add ``version`` to ``line`` where it is not its last."""
    if version and (not line or line[-1] != version):
        line.append(version)


def _note(reigns: list[Reign], version: str) -> None:
    """Add the reign of ``version`` where the last one that is known is another's."""
    if reigns and reigns[-1].version == version:
        return
    if version:
        reigns.append(Reign(version, None, None, ELSEWHERE, "no move of Thresher's"))


def _end(reigns: list[Reign], moment: datetime) -> None:
    if reigns:
        reigns[-1] = replace(reigns[-1], ended=moment)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return ""
