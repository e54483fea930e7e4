"""Who was champion when, and where a rollback leads, by the recorded moves alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thresher.tracking.history import (
    CHALLENGER,
    MAX_REASON,
    PREFIX,
    HistoryError,
    How,
    Move,
    find_former,
    find_reigns,
    find_set_aside,
    read_moves,
    shorten,
)

BEGAN = datetime(2026, 11, 1, tzinfo=UTC)


def moves_of(*steps: tuple[How, str]) -> list[Move]:
    """Return moves of the champion's alias, a minute apart, each from where the one before led."""
    made: list[Move] = []
    for minute, (how, version) in enumerate(steps):
        former = made[-1].version if made else ""
        at = BEGAN + timedelta(minutes=minute)
        made.append(Move(move=how, version=version, former=former, at=at, reason=f"{how} {version}"))
    return made


def test_a_rollback_takes_back_one_step_and_the_next_one_the_step_before() -> None:
    moves = moves_of(("run", "1"), ("run", "2"), ("promote", "5"))
    assert find_former(moves, "5") == "2"
    moves = moves_of(("run", "1"), ("run", "2"), ("promote", "5"), ("rollback", "2"))
    assert find_former(moves, "2") == "1"
    moves = moves_of(("run", "1"), ("run", "2"), ("promote", "5"), ("rollback", "2"), ("rollback", "1"))
    assert find_former(moves, "1") == ""


def test_history_and_not_the_number_says_who_was_before() -> None:
    assert find_former(moves_of(("run", "1"), ("run", "2"), ("promote", "1")), "1") == "2"
    assert find_former(moves_of(("run", "3"), ("rollback", "1"), ("run", "4")), "4") == "1"


def test_what_something_else_moved_counts_too() -> None:
    moves = moves_of(("run", "1"), ("run", "2"))
    assert find_former(moves, "7") == "2"
    assert find_former(moves, "") == "2"  # somebody took the alias away
    assert find_former([], "4") == ""
    before = Move(move="run", version="3", former="2", at=BEGAN, reason="")  # there was a champion before records were
    assert find_former([before], "3") == "2"


def test_moves_of_the_challenger_move_no_champion() -> None:
    entered = Move(alias=CHALLENGER, move="run", version="9", at=BEGAN, reason="larger")
    moves = [*moves_of(("run", "1"), ("run", "2")), entered]
    assert find_former(moves, "2") == "1"
    assert [reign.version for reign in find_reigns(moves, "2")] == ["1", "2"]


@given(st.lists(st.sampled_from(["run", "promote", "rollback"]), min_size=1, max_size=30), st.data())
def test_rollbacks_undo_what_was_done_as_a_stack_does(kinds: list[How], data: st.DataObject) -> None:
    """The real commands never promote the champion itself, nor roll back where nothing is."""
    stack: list[str] = []
    moves: list[Move] = []
    number = count(1)
    for kind in kinds:
        champion = stack[-1] if stack else ""
        if kind == "rollback":
            former = find_former(moves, champion)
            assert former == (stack[-2] if len(stack) > 1 else "")
            if not former:
                continue
            stack.pop()
        elif kind == "promote" and len({*stack}) > 1:
            stack.append(data.draw(st.sampled_from(sorted({*stack} - {champion}))))
        else:
            stack.append(str(next(number)))
        moves.append(Move(move=kind, version=stack[-1], former=champion, at=BEGAN, reason=""))
    reigns = find_reigns(moves, stack[-1] if stack else "")
    assert [reign.version for reign in reigns] == [move.version for move in moves]


def test_reigns_follow_each_other_and_gaps_are_named() -> None:
    moves = moves_of(("run", "1"), ("promote", "3"))
    moves.append(Move(move="rollback", version="1", former="8", at=BEGAN + timedelta(hours=1), reason="slow"))
    reigns = find_reigns(moves, "2")
    told = [(reign.version, reign.move, reign.began, reign.ended) for reign in reigns]
    assert told == [
        ("1", "run", BEGAN, moves[1].at),
        ("3", "promote", moves[1].at, None),
        ("8", "elsewhere", None, moves[2].at),
        ("1", "rollback", moves[2].at, None),
        ("2", "elsewhere", None, None),
    ]


def test_what_is_rolled_back_stays_away_until_it_is_champion_again() -> None:
    contents = {"1": "a", "2": "b", "3": "b"}
    moves = moves_of(("run", "1"), ("run", "2"), ("rollback", "1"))
    assert find_set_aside(moves, contents) == {"b": "it was rolled back from as version 2: rollback 1"}
    again = moves_of(("run", "1"), ("run", "2"), ("rollback", "1"), ("promote", "3"))
    assert find_set_aside(again, contents) == {"a": "version 3 was promoted over it, version 1: promote 3"}
    assert find_set_aside(moves_of(("run", "1"), ("run", "2"), ("run", "1")), contents) == {}
    same = {"1": "a", "2": "a"}  # served otherwise: the choice stands
    assert find_set_aside(moves, same) == {"a": "it was rolled back from as version 2: rollback 1"}
    assert find_set_aside(moves, {}) == {}  # versions of before have no hash


def test_tags_are_read_in_their_order_and_what_is_no_move_is_named() -> None:
    first, second = moves_of(("run", "1"), ("run", "2"))
    tags = {
        f"{PREFIX}000010.aa": second.model_dump_json(),
        f"{PREFIX}000009.bb": first.model_dump_json(exclude_defaults=True),
        "owner": "somebody",
    }
    assert read_moves(tags) == [first, second]
    with pytest.raises(HistoryError, match=rf"tag '{PREFIX}000011.cc' .* Fix: delete this tag"):
        read_moves({**tags, f"{PREFIX}000011.cc": "{}"})


@given(st.text(max_size=3 * MAX_REASON))
def test_a_reason_fits_into_a_tag(reason: str) -> None:
    move = Move(move="run", version="1", former="2", at=BEGAN, reason=shorten(reason), run_id="r" * 32, by="u" * 32)
    assert len(move.reason) <= MAX_REASON
    assert len(move.model_dump_json()) <= 5000  # MLflow's database, not its own check, which allows more
