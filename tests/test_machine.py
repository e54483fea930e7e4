"""The machine and the checkout in words."""

import os
import subprocess
from pathlib import Path

import pytest

from thresher.errors import DataError
from thresher.machine import (
    describe_machine,
    free_memory,
    git_commit,
    processor_flags,
    require_memory,
    usable_cores,
)


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "file").write_text("one")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "--quiet", "--message=one")
    return tmp_path


def test_every_part_of_the_description_is_told() -> None:
    description = describe_machine()
    assert set(description) == {"processor", "cores", "vnni", "system", "python"}
    assert all(description.values())


def test_vnni_is_yes_where_the_processor_lists_it() -> None:
    assert describe_machine()["vnni"] == ("yes" if {"avx512_vnni", "avx_vnni"} & processor_flags() else "no")


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system pins no processes")
def test_only_the_cores_that_this_process_may_use_are_counted() -> None:
    all_cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(all_cores)})
    try:
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, all_cores)


def test_the_commit_is_named_in_full(checkout: Path) -> None:
    assert git_commit(checkout) == git(checkout, "rev-parse", "HEAD")


def test_a_tag_does_not_hide_the_commit(checkout: Path) -> None:
    git(checkout, "tag", "v1")
    assert git_commit(checkout) == git(checkout, "rev-parse", "HEAD")


def test_changes_on_top_of_the_commit_are_told(checkout: Path) -> None:
    (checkout / "file").write_text("two")
    assert git_commit(checkout) == git(checkout, "rev-parse", "HEAD") + "-dirty"


def test_outside_of_git_there_is_no_commit(tmp_path: Path) -> None:
    assert git_commit(tmp_path) == "none"
    assert git_commit(tmp_path / "missing") == "none"


def system(folder: Path, available_kb: int, **group: str) -> Path:
    """Write what Linux says of memory, in all and in this process's control group."""
    for name in ("proc", "sys/fs/cgroup"):
        (folder / name).mkdir(parents=True)
    (folder / "proc/meminfo").write_text(f"MemTotal: 99999999 kB\nMemAvailable:    {available_kb} kB\n")
    for name, text in group.items():
        (folder / "sys/fs/cgroup" / f"memory.{name}").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("group", "free"),
    [
        ({}, 2_000 * 1024),
        ({"max": "max\n", "current": "5\n", "stat": "inactive_file 0\n"}, 2_000 * 1024),
        (
            {"max": "1000000\n", "current": "400000\n", "stat": "anon 1\ninactive_file 30000\nactive_file 20000\n"},
            650_000,
        ),
        ({"max": "9000000\n", "current": "400000\n", "stat": "inactive_file 50000\n"}, 2_000 * 1024),
    ],
    ids=["no group", "no limit", "limit", "limit above what there is"],
)
def test_free_memory_is_what_the_machine_and_the_container_allow(
    group: dict[str, str], free: int, tmp_path: Path
) -> None:
    assert free_memory(system(tmp_path, 2_000, **group)) == free


def test_this_machine_has_some_memory_free_and_not_a_petabyte(tmp_path: Path) -> None:
    assert 10**6 < free_memory() < 10**15
    require_memory(10**6, "a few", "none.")
    with pytest.raises(
        DataError, match=r"^All pictures need 1,000,000\.0 GB of memory, and [\d,.]+ GB are free\. Fix: x$"
    ):
        require_memory(10**15, "All pictures", "x")
