"""What compression makes of one trained model here, and with ONNX Runtime's quantizer, NNCF, Olive and Torch-Pruning.

All start from the float model that a run of the recipe left, on the same samples, and all files are judged by the same
code in one run. The peers are installed apart, in benchmarks/.peers; what they have made once is kept there, until the
float model or their settings change.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, entry_points, version
from pathlib import Path

from peer_task import RecipeRun, bound_of, prepare
from peers.making import PROGRESS
from reproduce import PROJECT, put_between
from side_by_side import Entry, Point, conclusion, judge, table
from side_by_side_plot import plot

from thresher.evaluation import Measurement
from thresher.kinds.record import GROUPS
from thresher.kinds.registry import PROJECT as KINDS_OF
from thresher.kinds.registry import plural
from thresher.machine import describe_machine
from thresher.models import FLOAT

HERE = Path(__file__).parent
ENVIRONMENT = HERE / ".peers" / "venv"
PACKAGES = ("nncf==3.4.0", "olive-ai==0.13.0", "torch-pruning==1.6.1", "requests")
SHARED = ("torch", "onnx", "onnxruntime", "transformers", "tokenizers")
"""What the peers have in this project's versions."""
SCRIPTS = ("torch_alone", "onnxruntime_alone", "nncf_alone", "olive_alone", "torch_pruning_by_hand")
OWN = "Thresher"
TOOLS = {
    "onnxruntime_": "ONNX Runtime",
    "nncf_": "NNCF",
    "olive_": "Olive",
    "torch_pruning_": "Torch-Pruning",
    "torch_": "PyTorch",
}
"""How the name of a file begins -> who has made it."""
PAGE = PROJECT / "docs" / "benchmarks.md"
ROUNDS, FEW_ROUNDS = 60, 15
LARGE = 10_000_000
"""Bytes of a float model from which opening a session and a call take so long that fewer rounds must do."""


def main() -> None:
    """Have the peers make their files, judge all, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", nargs="?", default="fashion_mnist_budget", help="a classification that has been run")
    parser.add_argument("--project", type=Path, default=PROJECT, help="the folder in which it was run")
    parser.add_argument("--fresh", action="store_true", help="let the peers make their files again")
    parser.add_argument("--seconds", type=float, default=4.0, help="of timing, for each file and batch size")
    parser.add_argument("--rounds", type=int, help=f"of timing; {FEW_ROUNDS} for models of {LARGE / 1e6:g} MB and more")
    arguments = parser.parse_args()
    run = RecipeRun(arguments.project.resolve(), arguments.recipe)
    check(run)
    folder = HERE / ".peers" / run.name
    if arguments.fresh:
        shutil.rmtree(folder, ignore_errors=True)
    prepare(run, folder)
    install()
    for script in SCRIPTS:
        run_peer(script, folder, run.project)
    rounds = arguments.rounds or (ROUNDS if run.float_file.stat().st_size < LARGE else FEW_ROUNDS)
    settings = {**run.recipe().get("evaluation", {}), "seconds": arguments.seconds, "rounds": rounds}
    write(run.name, list(compare(run, folder, Measurement.model_validate(settings))))


def check(run: RecipeRun) -> None:
    """End with what to do where the recipe was not run, or has no classes to be right in."""
    if not run.file.exists():
        names = ", ".join(sorted(each.stem for each in run.file.parent.glob("*.yml")))
        sys.exit(f"There is no recipe {run.name} in {run.file.parent}. Name one of: {names}")
    if run.recipe().get("task") != "classification":
        sys.exit(f"{run.name} is no classification: the peers' finetuning and this table are of classes. Name another.")
    if missing := [str(path) for path in run.needed if not path.exists()]:
        sys.exit(
            f"{run.name} was not run to its verdict: there is no {missing[0]}. Run: kedro run --pipeline {run.name}"
        )


def install() -> None:
    """Make the peers' environment, with this project's versions of what both have."""
    torch, *others = [f"{name}=={found}" for name in SHARED if (found := installed(name))]
    wanted, ready = "\n".join([torch, *others, *PACKAGES]), ENVIRONMENT / "ready"
    if not (ready.exists() and ready.read_text(encoding="utf-8") == wanted):
        install_peers(torch, others)
        ready.write_text(wanted, encoding="utf-8")
    if kinds := packages_of_kinds():
        subprocess.run([*uv_pip(), "--no-deps", *kinds], check=True)


def install_peers(torch: str, others: list[str]) -> None:
    """Make the environment anew."""
    print(f"Installing {', '.join(PACKAGES)} into {ENVIRONMENT}", flush=True)
    subprocess.run([find_uv(), "venv", "--clear", "--quiet", "--python", sys.executable, str(ENVIRONMENT)], check=True)
    command = uv_pip()
    links = os.environ.get("UV_FIND_LINKS") or os.environ.get("PIP_FIND_LINKS")
    env = {**os.environ, **({"UV_FIND_LINKS": links} if links else {})}
    # On Linux the plain torch brings gigabytes of CUDA: a build for the CPU comes first, from the machine's own folder.
    ways = (["--no-deps", "--no-index", torch], ["--torch-backend", "cpu", torch])
    if not any(subprocess.run([*command, *way], env=env, stderr=subprocess.DEVNULL).returncode == 0 for way in ways):
        sys.exit(f"No CPU build of {torch} could be had. Put its wheel into a folder, and set UV_FIND_LINKS to that.")
    if subprocess.run([*command, torch, *others, *PACKAGES], env=env).returncode:
        sys.exit("The peers could not be installed: the reason stands above. Mend PACKAGES in compression.py.")


def find_uv() -> str:
    """Return the path of uv; end where there is none."""
    uv = shutil.which("uv", path=Path(sys.executable).parent) or shutil.which("uv")
    return uv or sys.exit("There is no uv here, which installs the peers. Run: pip install uv")


def uv_pip() -> list[str]:
    """Return the command that installs into the peers' environment what stands behind it."""
    return [find_uv(), "pip", "install", "--quiet", "--python", str(ENVIRONMENT / "bin" / "python")]


def packages_of_kinds() -> list[str]:
    """Return the installed packages that add kinds, which a float network may be of: their folders, or versions."""
    groups = [f"thresher.{plural(group)}" for group in GROUPS]
    found = {point.dist.name: point.dist for group in groups for point in entry_points(group=group) if point.dist}
    origins = {name: json.loads(one.read_text("direct_url.json") or "{}").get("url") for name, one in found.items()}
    return [origins[name] or f"{name}=={one.version}" for name, one in found.items()]


def installed(package: str) -> str:
    """Return the version of ``package`` here, without what names its build; nothing where it is not installed."""
    try:
        return version(package).partition("+")[0]
    except PackageNotFoundError:
        return ""


def run_peer(script: str, folder: Path, project: Path) -> None:
    """Let ``script`` make what it has not made yet; where it breaks off, the reason is kept beside its files."""
    print(f"{script} ...", flush=True)
    log, failed = folder / f"{script}.log", folder / f"{script}.failed"
    failed.unlink(missing_ok=True)
    command = [str(ENVIRONMENT / "bin" / "python"), str(HERE / "peers" / f"{script}.py"), str(folder)]
    code = follow(command, log, project)
    if code:
        last = log.read_text(encoding="utf-8", errors="replace").strip().rpartition("\n")[2]
        failed.write_text(f"ended with exit code {code}: {last}", encoding="utf-8")
        print(f"{script} broke off, the others go on; see {log}", flush=True)


def follow(command: list[str], log: Path, project: Path) -> int:
    """Run ``command`` and return its exit code; all that it prints goes to ``log``, and its progress to the reader."""
    quiet = {"CI": "true", "OLIVE_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "true", "HF_HUB_OFFLINE": "1"}
    # As Thresher's own runs have it: threads that wait without end bring training on shared cores to a standstill.
    waiting = {} if "OMP_WAIT_POLICY" in os.environ else {"GOMP_SPINCOUNT": "1000"}
    env = {**waiting, **os.environ, **quiet, "PYTHONPATH": str(PROJECT / "src"), KINDS_OF: str(project)}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # or each script would compile all of torch anew
    with (
        log.open("a", encoding="utf-8", buffering=1) as written,
        subprocess.Popen(
            command,
            env=env,
            cwd=log.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as peer,
    ):
        for line in peer.stdout or ():
            written.write(line)
            if line.startswith(PROGRESS):
                print(f"  {line.removeprefix(PROGRESS)}", end="", flush=True)
    return peer.returncode


def compare(run: RecipeRun, folder: Path, measurement: Measurement) -> Iterator[str]:
    """Yield the section's lines: the table, who dominates the winner, what did not work, and the setting."""
    recipe, winner, test = run.recipe(), run.winner(), run.test_samples()
    bound, entries = bound_of(recipe), read_entries(run, recipe.get("candidates", {}), folder)
    points, broken = judge(entries, FLOAT, test, run.model_input(), measurement)
    yield f"`{run.name}`, {len(test.labels):,} test samples{allowance(bound)}:\n"
    yield from table(points, FLOAT, winner, bound)
    yield "\n" + conclusion(points, winner, OWN, bound)
    picture = (PAGE.parent / "images" if has_place(run.name) else folder) / f"compression_{run.name}.png"
    plot(points, FLOAT, winner, bound, picture)
    yield f"\n![A point a file: accuracy lost over size, over speed]({os.path.relpath(picture, PAGE.parent)})"
    failed = {file.stem: file.read_text(encoding="utf-8") for file in sorted(folder.glob("*.failed"))}
    for what, reason in (failed | broken).items():
        yield f"\n`{what}` {'failed: ' if what in failed else ''}{reason}"
    yield "\n" + setting(folder, points, measurement)


def allowance(bound: float | None) -> str:
    """Return what a file may lose, in words."""
    return "" if bound is None else f"; a drop of at most {bound:g}, by its 95 % upper bound, is allowed"


def read_entries(run: RecipeRun, candidates: Iterable[str], folder: Path) -> list[Entry]:
    """Return float, every one of ``candidates`` that could be made, and all that the peers have made."""
    # Named, since earlier recipes have left other files.
    paths = {key: run.models / key / "model.onnx" for key in (FLOAT, *candidates)}
    contents = {key: path.read_bytes() for key, path in paths.items() if path.exists()}
    # A candidate that could not be made has its reason in place of a model.
    entries = [Entry(key, OWN, content) for key, content in contents.items() if not content.startswith(b"{")]
    theirs = [path for path in sorted(folder.glob("*.onnx")) if tool_of(path.stem)]
    return entries + [Entry(path.stem, tool_of(path.stem), path.read_bytes()) for path in theirs]


def tool_of(file: str) -> str:
    """Return which peer has made ``file``, or nothing."""
    return next((tool for start, tool in TOOLS.items() if file.startswith(start)), "")


def setting(folder: Path, points: list[Point], measurement: Measurement) -> str:
    """Return what was measured on, with which versions, and how the peers finetuned."""
    machine = describe_machine()
    tuned = json.loads((folder / "task.json").read_text(encoding="utf-8"))["finetuning"]
    own = ", ".join(f"{name} {version(name)}" for name in ("torch", "onnx", "onnxruntime"))
    peers = ", ".join(package.replace("==", " ") for package in PACKAGES if "==" in package)
    return (
        f"{machine['processor']}, {machine['cores']} cores, VNNI: {machine['vnni']}; {measurement.threads} thread(s), "
        f"{measurement.rounds} rounds in which each of {len(points)} files has a turn; {own}, {peers}; "
        f"{datetime.now(UTC):%Y-%m-%d}. By hand: {tuned['epochs']} epochs of {tuned['optimizer']['kind']} at "
        f"{tuned['optimizer']['lr']:g}, {tuned['weight']:g} of the loss the teacher's at temperature "
        f"{tuned['temperature']:g}."
    )


def write(name: str, lines: list[str]) -> None:
    """Put ``lines`` into the page where it has a place for this recipe, else print them alone."""
    begin, end = marks(name)
    if has_place(name):
        put_between(begin, end, lines, PAGE)
    else:
        print("\n".join(lines))
        print(f"\nNot written: {PAGE.name} has no place for {name}. Add these two lines to it:\n{begin}\n{end}")


def has_place(name: str) -> bool:
    """Return whether the page has the marks of this recipe."""
    text = PAGE.read_text(encoding="utf-8")
    return all(mark in text for mark in marks(name))


def marks(name: str) -> tuple[str, str]:
    """Return what stands before and after a recipe's table on the page."""
    return f"<!-- compression {name}: begin -->", f"<!-- compression {name}: end -->"


if __name__ == "__main__":
    main()
