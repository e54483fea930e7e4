"""The bytes of all requests in flight stay within one budget, which follows the memory that there is."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from threading import Thread
from typing import Any

import psutil
import pytest

from thresher.serving.core.byte_budget import IN_FLIGHT, MAX_BYTES, MIB, ByteBudget, available_bytes, budget_bytes
from thresher.serving.core.errors import OverloadedError, TooLargeError
from thresher.serving.core.strict_json import num_decoded_bytes, parse_json
from thresher.serving.http.response import error_reply

MACHINE = psutil.virtual_memory().total


def test_what_fits_is_reserved_and_what_does_not_is_not() -> None:
    budget = ByteBudget(100)
    assert budget.reserve(60) and budget.reserve(40) and budget.used == 100
    assert budget.reserve(0)
    assert not budget.reserve(1)
    budget.release(60)
    assert not budget.reserve(61)
    assert budget.reserve(60)
    budget.release(100)
    assert (budget.used, budget.peak, budget.released) == (0, 100, 160)


def test_a_block_gives_back_whatever_happens() -> None:
    budget = ByteBudget(100)
    with pytest.raises(ZeroDivisionError), budget.reserved(70):
        assert budget.used == 70
        raise ZeroDivisionError
    assert budget.used == 0
    with budget.reserved(100), pytest.raises(OverloadedError), budget.reserved(1):
        raise AssertionError("must not come in")
    assert budget.used == 0


def test_refusals_say_whether_it_is_worth_trying_again() -> None:
    budget = ByteBudget(8 * MIB)
    with budget.reserved(6 * MIB):
        with pytest.raises(OverloadedError) as full, budget.reserved(3 * MIB):
            raise AssertionError("must not come in")
        reply = error_reply(full.value)
        assert reply.status == 503 and (b"retry-after", b"1") in reply.headers
        assert b"The requests in flight hold 6.0 MiB, of at most 8.0 MiB." in reply.body
        with pytest.raises(TooLargeError) as never, budget.reserved(8 * MIB + 1):
            raise AssertionError("must not come in")
        assert error_reply(never.value).status == 413 and "8.0 MiB for all requests in flight" in str(never.value)


def test_a_request_that_fits_an_idle_service_exactly_is_told_to_try_again() -> None:
    budget = ByteBudget(8 * MIB)
    with budget.reserved(1), pytest.raises(OverloadedError), budget.reserved(8 * MIB):
        raise AssertionError("must not come in")
    with budget.reserved(8 * MIB):
        assert budget.used == budget.limit


def size_of(value: Any) -> int:
    items = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    return sys.getsizeof(value) + sum(map(size_of, items))


@pytest.mark.parametrize(
    "document",
    [
        {"images": [[[0, 255, 7]] * 20] * 30},
        {"rows": [[1.5, 1e300, 2**60]] * 50},
        {"rows": [{"a": 1, "b": None}] * 50},
        [[]] * 100,
        [{}] * 100,
        {"text": "a, [b] {c} " * 100},
        {"text": "\U0001f600 and plain" * 100},
    ],
)
def test_what_a_document_takes_is_not_underestimated(document: Any) -> None:
    body = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
    assert size_of(parse_json(body)) <= num_decoded_bytes(body)


def test_a_document_that_cannot_be_decoded_here_is_refused_in_words() -> None:
    budget = ByteBudget(MIB)
    budget.check_decoded(3 * MIB)
    with pytest.raises(
        TooLargeError, match=r"up to 5\.0 MiB of memory; this service decodes at most 3\.0 MiB at a time"
    ):
        budget.check_decoded(5 * MIB)


def test_threads_count_together() -> None:
    budget = ByteBudget(10**9)

    def work() -> None:
        for _ in range(20_000):
            budget.reserve(3)
            budget.release(3)

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert budget.used == 0 and budget.released == 4 * 20_000 * 3


@pytest.mark.parametrize(
    ("files", "own", "memory"),
    [
        ({}, "0::/\n", MACHINE),
        ({"memory.max": "max"}, "0::/\n", MACHINE),
        ({"memory.max": "268435456"}, "0::/\n", 256 * MIB),
        ({"memory.max": str(2**60)}, "0::/\n", MACHINE),
        ({"memory.max": "max", "a/memory.max": "536870912", "a/b/memory.max": "max"}, "0::/a/b\n", 512 * MIB),
        ({"a/memory.max": "536870912", "a/b/memory.max": "268435456"}, "0::/a/b\n", 256 * MIB),
        ({"a:b/memory.max": "536870912"}, "0::/a:b\n", 512 * MIB),
        ({"c/memory.max": "1048576"}, "0::/a/b\n", MACHINE),
        ({"memory/memory.limit_in_bytes": "268435456"}, "4:memory:/docker/x\n3:cpu,cpuacct:/\n", 256 * MIB),
        ({"memory/memory.limit_in_bytes": "9223372036854771712"}, "4:memory:/\n", MACHINE),
        ({"memory/s/memory.limit_in_bytes": "134217728"}, "4:memory:/s/t\n0::/\n", 128 * MIB),
    ],
)
def test_the_memory_is_what_the_control_groups_leave(
    tmp_path: Path, files: dict[str, str], own: str, memory: int
) -> None:
    cgroup, own_group = tmp_path / "cgroup", tmp_path / "own"
    own_group.write_text(own)
    for name, text in files.items():
        (cgroup / name).parent.mkdir(parents=True, exist_ok=True)
        (cgroup / name).write_text(text + "\n")
    assert available_bytes(cgroup, own_group) == memory
    assert available_bytes(tmp_path / "none", tmp_path / "none") == MACHINE


def test_the_budget_is_a_share_for_each_worker_unless_it_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(IN_FLIGHT, raising=False)
    (tmp_path / "memory.max").write_text("268435456")
    own = tmp_path / "none"
    assert [budget_bytes(workers, tmp_path, own) for workers in (1, 2, 1000)] == [16 * MIB, 8 * MIB, MIB]
    assert budget_bytes(cgroup=tmp_path, own_group=own) == 16 * MIB
    thirds = budget_bytes(3, tmp_path, own)
    assert isinstance(thirds, int) and 3 * thirds <= 16 * MIB < 3 * (thirds + 1)
    (tmp_path / "memory.max").write_text("max")
    assert budget_bytes(1, tmp_path, own) == min(MAX_BYTES, MACHINE // 16)
    monkeypatch.setenv(IN_FLIGHT, "40")
    assert budget_bytes(3, tmp_path, own) == 40 * MIB
    for wrong in ("0", "-1", "40MB", "1.5"):
        monkeypatch.setenv(IN_FLIGHT, wrong)
        with pytest.raises(ValueError, match=r"THRESHER_IN_FLIGHT_MIB is '.*'. Set it to a whole number"):
            budget_bytes()
