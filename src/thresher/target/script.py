"""Times the models of this folder on this machine, and compares their answers with those that they were judged by.

python measure.py [measured.json]      # give the file that it writes to: thresher judge RECIPE --measured FILE

Python, numpy and ONNX Runtime are all that it needs.
"""

import argparse
import base64
import hashlib
import hmac
import io
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import zlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from thresher.evaluation import runtime
from thresher.evaluation.calls import StolenTime, has_fine_clock, median_seconds, places_of, time_calls, turns

HERE = Path(__file__).resolve().parent
PLAN_FILE = "plan.json"
DECISION = "thresher.decision"
"""The key of a file's metadata that has the rule of its classes."""


def main() -> None:
    """Measure all models with all settings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, default=Path("measured.json"))
    out = parser.parse_args().file
    if out.exists():
        sys.exit(f"{out} is there already. Fix: name another file.")
    plan = json.loads((HERE / PLAN_FILE).read_text(encoding="utf-8"))
    check_files(plan)
    target = Target(plan)
    document = {
        "format": plan["format"],
        "id": plan["id"],
        "files": plan["files"],
        "machine": describe_machine(),
        "onnxruntime": onnxruntime.__version__,
        "numpy": np.__version__,
        "available_providers": onnxruntime.get_available_providers(),
        "fine_clock": has_fine_clock(),
        "measured_at": time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime()),
        "results": target.measure_all(),
    }
    if failed := next((one["failed"] for one in document["results"][:1] if "failed" in one), ""):
        sys.exit(f"{plan['reference']} itself cannot be measured here: {failed}")
    document["signature"] = sign(document, plan["token"])
    beside = out.with_name(f".{out.name}.part")
    beside.write_text(json.dumps(document), encoding="utf-8")
    beside.replace(out)
    print(f"{out}: bring it back, and run: thresher judge {plan['recipe']} --measured {out.name}")


def check_files(plan: dict[str, Any]) -> None:
    """End where a file of the folder is not what it was when the folder was made."""
    for name, expected in plan["files"].items():
        if not (HERE / name).is_file() or hash_of(HERE / name) != expected:
            sys.exit(f"{name} is missing, or is not what it was. Fix: copy the folder again.")


def hash_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(2**20):
            digest.update(data)
    return digest.hexdigest()


def sign(document: dict[str, Any], token: str) -> str:
    """Return the HMAC of a document without its signature: who wrote it had the folder's token."""
    content = {name: value for name, value in document.items() if name != "signature"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hmac.new(token.encode(), text.encode(), hashlib.sha256).hexdigest()


def describe_machine() -> dict[str, str]:
    """Return processor, usable cores, integer instructions and system."""
    info = Path("/proc/cpuinfo")
    lines = [line.split(":", 1) for line in info.read_text().splitlines() if ":" in line] if info.exists() else []
    told = {name.strip().lower(): value.strip() for name, value in reversed(lines)}
    flags = set((told.get("flags") or told.get("features") or "").split())
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {
        "processor": told.get("model name") or platform.processor() or platform.machine(),
        "cores": str(cores),
        "vnni": "yes" if flags & {"avx512_vnni", "avx_vnni"} else "no",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "architecture": platform.machine(),
    }


class Target:
    """This machine, and the models that it times in turns with the reference."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan, self.inputs = plan, np.load(HERE / "inputs.npy", mmap_mode="r")
        self.reference = (HERE / "models" / f"{plan['reference']}.onnx").read_bytes()

    def measure_all(self) -> list[dict[str, Any]]:
        """Return what was measured of each model with each setting, or why it was not."""
        results = []
        for setting in self.plan["settings"]:
            for name in self.plan["candidates"]:
                print(f"{name}, {setting['name']} ...", flush=True)
                about = {"candidate": name, "setting": setting["name"]}
                try:
                    results.append({**about, **self.measure(name, setting)})
                except Exception as error:  # ONNX Runtime's errors share no base class
                    print(f"  failed: {error}")
                    results.append({**about, "failed": f"{type(error).__name__}: {str(error).splitlines()[0]}"})
        return results

    def measure(self, name: str, setting: dict[str, Any]) -> dict[str, Any]:
        """Return what was measured of one model with one setting."""
        model, cpu = (HERE / "models" / f"{name}.onnx").read_bytes(), self.plan["settings"][0]
        pair = ((model, setting), (self.reference, cpu))
        session = open_one(pair[0], self.plan)
        rule = session.get_modelmeta().custom_metadata_map.get(DECISION)
        answers, stolen = self.predict(session), StolenTime()
        del session
        compared = compare(answers, np.load(HERE / "answers" / f"{name}.npy"), rule and json.loads(rule))
        print(f"  {compared['num_differing']} of {len(answers)} answers differ, at most by {compared['largest']:.3g}")
        latencies = [self.time_batch(pair, size) for size in self.plan["batch_sizes"]]
        return {
            "providers": open_one(pair[0], self.plan).get_providers(),
            "answers": pack(answers),
            **compared,
            "latencies": latencies,
            "stolen": stolen.share,
            "loading": self.time_loading(pair),
            "peak_memory_bytes": self.measure_memory(name, setting),
        }

    def used(self, batch: np.ndarray) -> np.ndarray:
        """Return which places of each sample are no padding, bool [N, T]."""
        padding = self.plan["padding"]
        mask: np.ndarray = ~np.isnan(batch[:, :, 0]) if padding == "nan" else batch != padding
        return mask

    def trim(self, batch: np.ndarray) -> np.ndarray:
        """Return samples without the padding that all of them end with."""
        if self.plan["padding"] is None:
            return batch
        places = np.flatnonzero(self.used(batch).any(axis=0))
        return batch[:, : places[-1] + 1 if len(places) else 1]

    def predict(self, session: Any) -> np.ndarray:
        """Return the answers to all samples, those of like length computed together, as the verdict has them."""
        order = np.arange(len(self.inputs))
        if self.plan["padding"] is not None:
            mask = self.used(np.asarray(self.inputs))
            order = np.argsort((mask * np.arange(1, mask.shape[1] + 1)).max(axis=1, initial=0), kind="stable")
        size, outputs = runtime.PREDICTION_BATCH, []
        for start in range(0, len(order), size):
            batch = self.trim(self.inputs[order[start : start + size]])
            outputs.append(session.run(None, {self.plan["input"]: batch})[0])
        answers = np.empty((len(order), *outputs[0].shape[1:]), outputs[0].dtype)
        answers[order] = np.concatenate(outputs)
        return answers

    def time_batch(self, pair: Any, size: int) -> dict[str, Any]:
        """Return what the calls of a model and the reference took, each round with new sessions, in turns."""
        plan, calls, kept, number = self.plan, self.calls_a_round(pair, size), 0, 0
        made: tuple[list[Any], list[Any]] = ([], [])
        open_pair: Any = None
        ends = float("inf")
        while kept < plan["rounds"] and time.perf_counter() < ends:
            before = open_pair  # closed once this one is open: it would be given the same memory again
            open_pair = {turn: open_one(pair[turn], plan) for turn in turns(number // 2)}
            del before
            batch = self.trim(self.inputs[places_of(number, len(self.inputs), size, plan["rounds"])])
            for turn in turns(number):
                call = partial(open_pair[turn].run, None, {plan["input"]: batch})
                time_calls(call, plan["settling_calls"])
                made[turn].append(time_calls(call, calls))
            kept += plan["threads"] == 1 or all(len(each[-1].alone) >= plan["min_calls_alone"] for each in made)
            number += 1
            if number == plan["rounds"]:
                ends = time.perf_counter() + plan["patience_seconds"]
        return {"batch_size": size, "model": pack_calls(made[0]), "reference": pack_calls(made[1])}

    def calls_a_round(self, pair: Any, size: int) -> int:
        """Warm up, and return how many calls of a turn fill the time."""
        plan = self.plan
        places = places_of(plan["rounds"] // 2, len(self.inputs), size, plan["rounds"])
        feed, seconds = {plan["input"]: self.trim(self.inputs[places])}, 0.0
        for one in pair:
            session = open_one(one, plan)
            warm = time_calls(partial(session.run, None, feed), plan["warmup_calls"])
            seconds += median_seconds(warm, plan["threads"])
        return max(int(plan["min_calls"]), int(plan["seconds"] / plan["rounds"] / seconds))

    def time_loading(self, pair: Any) -> dict[str, Any]:
        """Return what opening a session on each took, in turns."""
        made: tuple[list[Any], list[Any]] = ([], [])
        for number in range(self.plan["load_rounds"]):
            for turn in turns(number):
                made[turn].append(time_opening(partial(open_one, pair[turn], self.plan)))
        return {"model": pack_calls(made[0]), "reference": pack_calls(made[1])}

    def measure_memory(self, name: str, setting: dict[str, Any]) -> int:
        """Return the bytes that a process with a session of the model holds above one without."""
        size = max(self.plan["batch_sizes"])
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / runtime.MODEL_FILE).write_bytes((HERE / "models" / f"{name}.onnx").read_bytes())
            np.save(Path(folder) / runtime.INPUTS_FILE, self.longest(size))
            command = [sys.executable, runtime.__file__, folder, str(self.plan["threads"])]
            command += [json.dumps(setting["provider"]), json.dumps(setting["entries"])]
            done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"its memory cannot be measured: {(done.stderr.splitlines() or ['killed'])[-1]}")
        return int(done.stdout)

    def longest(self, size: int) -> np.ndarray:
        """Return the longest samples; some twice where there are too few."""
        inputs, order = np.asarray(self.inputs), np.arange(len(self.inputs))
        if self.plan["padding"] is not None:
            mask = self.used(inputs)
            order = np.argsort(-(mask * np.arange(1, mask.shape[1] + 1)).max(axis=1, initial=0), kind="stable")
        return self.trim(inputs[np.resize(order, size)])


def open_one(one: tuple[bytes, dict[str, Any]], plan: dict[str, Any]) -> Any:
    """Return a session on a model with a setting."""
    model, setting = one
    return runtime.open_session(model, plan["threads"], setting["provider"], setting["entries"])


def time_opening(opening: Any) -> Any:
    """Return what opening a session took; it is closed after the clocks were read."""
    kept: list[Any] = []
    return time_calls(lambda: kept.append(opening()), 1)


def compare(answers: np.ndarray, expected: np.ndarray, rule: dict[str, Any] | None) -> dict[str, Any]:
    """Return how many answers differ, by their class or of values at all, and by how much at most.

    Args:
        rule: by which a threshold decides the class, as the file has it.
    """
    if answers.shape != expected.shape or not np.isfinite(answers).all():
        raise ValueError("its answers are of another shape than expected, or no finite numbers")
    if answers.shape[1] > 1:
        differ = classes_of(answers, rule) != classes_of(expected, rule)
    else:
        differ = (answers != expected)[:, 0]
    largest = np.abs(answers.astype(np.float64) - expected.astype(np.float64)).max()
    return {"num_differing": int(differ.sum()), "largest": float(largest)}


def classes_of(answers: np.ndarray, rule: dict[str, Any] | None) -> np.ndarray:
    """Return the class of each sample [N]: the likeliest one, or what the threshold of ``rule`` decides."""
    chosen: np.ndarray = answers.argmax(axis=1)
    if rule is not None:
        index, rest = rule["class_index"], answers.copy()
        rest[:, index] = -1
        chosen = np.where(answers[:, index] >= np.float32(rule["threshold"]), index, rest.argmax(axis=1))
    return chosen


def pack(array: np.ndarray) -> str:
    """Return an array as text: numpy's format, compressed, in base64."""
    content = io.BytesIO()
    np.save(content, array, allow_pickle=False)
    return base64.b64encode(zlib.compress(content.getvalue())).decode()


def pack_calls(rounds: list[Any]) -> str:
    """Return what the calls of rounds took: seconds on the wall and of the thread, and interruptions, [3, R, C]."""
    return pack(np.array([[getattr(each, name) for each in rounds] for name in ("wall", "computed", "interrupted")]))


if __name__ == "__main__":
    main()
