"""Which chains are finetuned, and which of them wins, on trials whose finetuned loss is known."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from thresher.compression.budget import CandidateSearch
from thresher.search.finalists import choose, next_finalist
from thresher.search.result import Assessed, keeps, pareto_front
from thresher.search.space import halfway

LOSS = CandidateSearch.model_validate({"budget": {"accuracy_drop": 0.01}, "finalists": 5})
SIZE = CandidateSearch.model_validate({"budget": {"size_bytes": 500}, "finalists": 3})


def trial(number: int, size: float, loss: float, reason: str = "") -> Assessed:
    return Assessed(
        number=number, settings={"share": number}, steps=({"kind": "prune_channels", "ratio": 0.001 + number / 1000},),
        finetuned=False, reason=reason, loss=None if reason else loss, loss_upper=None if reason else loss,
        costs={} if reason else {"size_bytes": size, "macs": size}, seconds=0,
    )  # fmt: skip


def mended(factor: float) -> Callable[[Assessed], Assessed]:
    """A finetuning that takes most of a loss away."""

    def finetune(one: Assessed) -> Assessed:
        loss = (one.loss or 0.0) * factor
        return one.model_copy(update={"finetuned": True, "loss": loss, "loss_upper": loss})

    return finetune


def finetune_promising(
    trials: list[Assessed], config: CandidateSearch, objective: str, finetune: Callable[[Assessed], Assessed]
) -> list[Assessed]:
    finalists: list[Assessed] = []
    while len(finalists) < config.finalists:
        chosen = next_finalist(trials, finalists, config.budget, objective)
        if chosen is None:
            break
        finalists.append(finetune(chosen))
    return finalists


@given(st.lists(st.tuples(st.integers(1, 1000), st.floats(0, 1)), min_size=1, max_size=40))
def test_on_the_front_is_whom_nobody_beats_in_both(points: list[tuple[int, float]]) -> None:
    trials = [trial(number, size, loss) for number, (size, loss) in enumerate(points)]
    front = pareto_front(trials, "size_bytes")
    for one in trials:
        beaten = any(
            other.costs["size_bytes"] <= one.costs["size_bytes"] and (other.loss or 0) <= (one.loss or 0)
            and (other.costs["size_bytes"], other.loss) != (one.costs["size_bytes"], one.loss) for other in trials
        )  # fmt: skip
        assert beaten or any((same.costs, same.loss) == (one.costs, one.loss) for same in front)
    sizes = [one.costs["size_bytes"] for one in front]
    assert sizes == sorted(sizes, reverse=True)


def test_a_bound_on_the_loss_is_found_by_halving_the_front() -> None:
    trials = [trial(number, 1000 - 30 * number, number / 101) for number in range(31)]
    finalists = finetune_promising(trials, LOSS, "size_bytes", mended(0.1))
    best = choose(finalists, LOSS.budget, "size_bytes")
    assert best is not None
    # A loss of at most 0.01 after finetuning is one of at most 0.10 before.
    assert len(finalists) <= 5
    assert finalists[best].number == 10


def test_between_two_neighbours_of_the_front_it_goes_on() -> None:
    def finetune(one: Assessed) -> Assessed:
        loss = one.settings["share"] / 50  # at most 0.01 where at most half is gone
        return one.model_copy(update={"finetuned": True, "loss": loss, "loss_upper": loss})

    def tried(number: int, share: float, importance: str) -> Assessed:
        settings = {"share": share, "importance": importance, "last_step": "none"}
        return trial(number, 1000 * (1 - share), share).model_copy(update={"settings": settings})

    front = [tried(0, 0.1, "l2"), tried(1, 0.3, "l2"), tried(2, 0.8, "taylor")]
    finalists = finetune_promising(front, LOSS, "size_bytes", finetune)
    shares = [round(one.settings["share"], 4) for one in finalists]
    assert shares == [0.3, 0.8, 0.55, 0.425, 0.4875]
    assert {one.settings["importance"] for one in finalists[2:]} == {"l2"}
    assert not keeps(finalists[2], LOSS.budget) and keeps(finalists[4], LOSS.budget)


def test_nothing_lies_between_chains_that_end_differently_or_hardly_differ() -> None:
    one = {"share": 0.5, "shift conv1": 0.1, "importance": "l2", "last_step": "none"}
    assert halfway(one, {**one, "share": 0.7}) == {**one, "share": 0.6}
    assert halfway(one, {**one, "share": 0.7, "last_step": "quantize_static"}) is None
    assert halfway(one, {**one, "share": 0.51, "shift conv1": 0.11, "importance": "taylor"}) is None


def test_where_none_keeps_the_bound_the_nearest_is_taken() -> None:
    trials = [trial(number, 1000 - 30 * number, 0.5 + number / 100) for number in range(8)]
    finalists = finetune_promising(trials, LOSS, "size_bytes", mended(0.1))
    best = choose(finalists, LOSS.budget, "size_bytes")
    assert best is not None
    assert finalists[best].number == 0
    assert not keeps(finalists[best], LOSS.budget)


def test_a_bound_on_the_size_leaves_the_best_of_those_that_keep_it() -> None:
    trials = [trial(number, 1000 - 100 * number, number / 10) for number in range(10)]
    finalists = finetune_promising(trials, SIZE, "size_bytes", mended(0.1))
    assert [one.number for one in finalists] == [5, 6, 7]
    assert choose(finalists, SIZE.budget, "size_bytes") == 0


def test_the_same_chain_is_finetuned_once() -> None:
    assert len(finetune_promising([trial(7, 100, 0.1)] * 5, SIZE, "size_bytes", mended(0.1))) == 1


def test_chains_that_could_not_be_made_are_passed_over() -> None:
    trials = [trial(0, 0, 0, reason="unsupported"), trial(1, 400, 0.2)]
    finalists = finetune_promising(trials, SIZE, "size_bytes", mended(0.1))
    assert [one.number for one in finalists] == [1]
    assert choose([trial(0, 0, 0, reason="unsupported")], SIZE.budget, "size_bytes") is None
