"""The folder that goes to the machine that will serve: models, inputs, expected answers and the script."""

from __future__ import annotations

import hashlib
import inspect
import json
import secrets
import shutil
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from thresher.config import Config
from thresher.errors import ThresherError
from thresher.evaluation import Measurement, calls, latency, runtime
from thresher.evaluation.footprint import LOAD_ROUNDS
from thresher.files import replacing_folder
from thresher.modalities.model_input import ModelInput
from thresher.models import FLOAT
from thresher.serving.core.execution import read_execution
from thresher.target import script

FORMAT = 1
ARCHIVES = (".tar.gz", ".tgz")
RECORDS = ".thresher/measure"
"""Where the plan of each folder is kept, with its token: what comes back is checked against it."""
OUR_IMPORTS = (
    "from thresher.evaluation import runtime\nfrom thresher.evaluation.calls import",
    "sys.path.insert(0, str(Path(__file__).resolve().parent))  # which python -I leaves out\n"
    "import runtime\nfrom calls import",
)


class TargetError(ThresherError):
    """A folder that cannot be made, or measurements that cannot be used."""


class Setting(Config):
    """How a session computes."""

    name: str
    provider: str = runtime.CPU
    entries: dict[str, str] = Field(default_factory=dict)

    @property
    def label(self) -> str:
        """A short name, such as `CPU,allow_spinning=0`."""
        keys = (f",{key.rpartition('.')[2]}={value}" for key, value in self.entries.items())
        return self.provider.removesuffix("ExecutionProvider") + "".join(keys)


class Plan(Config):
    """What the script does, and what tells its answer from any other."""

    format: int = FORMAT
    id: str
    token: str
    recipe: str
    reference: str = FLOAT
    candidates: tuple[str, ...]
    settings: tuple[Setting, ...]
    input: str
    padding: int | str | None
    threads: int
    batch_sizes: tuple[int, ...]
    rounds: int
    seconds: float
    warmup_calls: int = latency.WARMUP_CALLS
    settling_calls: int = latency.SETTLING_CALLS
    min_calls: int
    min_calls_alone: int = latency.MIN_CALLS_ALONE
    patience_seconds: float = latency.PATIENCE_SECONDS
    load_rounds: int = LOAD_ROUNDS[1]
    files: dict[str, str]
    """File -> SHA-256."""
    inputs_sha256: str
    """Of the test samples as numpy has them."""


def read_setting(text: str) -> Setting:
    """Return the setting that ``text`` writes: PROVIDER, or PROVIDER,KEY=VALUE,... of ONNX Runtime's own names.

    Raises:
        TargetError: it is none.
    """
    try:
        provider, entries = read_execution(text)
    except ValueError as error:
        raise TargetError(f"--try: {error}") from error
    return Setting(name=text, provider=provider, entries=entries)


def padding_of(model_input: ModelInput) -> int | str | None:
    """Return what fills shorter samples up: a token, "nan", or None where all are alike in size.

    Raises:
        TargetError: a modality of a package, whose lengths its own code alone tells.
    """
    if None not in model_input.shape:
        return None
    kind = str(model_input.kind)
    if kind == "text":
        return int(getattr(model_input, "padding", 0))
    if kind == "series":
        return "nan"
    raise TargetError(f"Samples of the modality '{kind}' are of any length, and its package alone can tell theirs.")


def folder_name(target: Path) -> str:
    """Return what the folder is called: that of an archive is within it, by the archive's name without its ending."""
    return target.name.removesuffix(".tar.gz").removesuffix(".tgz")


def write_target(
    target: Path,
    recipe: str,
    models: Mapping[str, bytes],
    answers: Mapping[str, np.ndarray],
    inputs: np.ndarray,
    model_input: ModelInput,
    measurement: Measurement,
    settings: Sequence[Setting],
) -> Plan:
    """Write a folder, or an archive of it where ``target`` ends in .tar.gz, and return its plan.

    Args:
        models: candidate -> ONNX file, float's among them.
        answers: candidate -> what it answers to ``inputs`` here.
    """
    with _filling(target) as there:
        (there / "models").mkdir()
        (there / "answers").mkdir()
        for name, content in models.items():
            (there / "models" / f"{name}.onnx").write_bytes(content)
            np.save(there / "answers" / f"{name}.npy", answers[name], allow_pickle=False)
        np.save(there / "inputs.npy", inputs, allow_pickle=False)
        text = inspect.getsource(script)
        assert OUR_IMPORTS[0] in text
        (there / "measure.py").write_text(text.replace(*OUR_IMPORTS), encoding="utf-8")
        for module in (calls, runtime):
            name = module.__name__.rpartition(".")[2]
            (there / f"{name}.py").write_text(inspect.getsource(module), encoding="utf-8")
        files = {
            path.relative_to(there).as_posix(): script.hash_of(path)
            for path in sorted(there.rglob("*"))
            if path.is_file()
        }
        one_thread = measurement.threads == 1
        plan = Plan(
            id=secrets.token_hex(8),
            token=secrets.token_hex(32),
            recipe=recipe,
            candidates=(FLOAT, *(name for name in models if name != FLOAT)),
            settings=(Setting(name=runtime.CPU), *settings),
            input=model_input.name,
            padding=padding_of(model_input),
            threads=measurement.threads,
            batch_sizes=measurement.batch_sizes,
            rounds=measurement.rounds,
            seconds=measurement.seconds,
            min_calls=latency.MIN_CALLS_A_ROUND if one_thread else latency.MIN_CALLS_ALONE + latency.SPARE_CALLS,
            files=files,
            inputs_sha256=hash_array(inputs),
        )
        (there / script.PLAN_FILE).write_text(plan.model_dump_json(indent=2) + "\n", encoding="utf-8")
        (there / "README.md").write_text(_readme(plan), encoding="utf-8")
    return plan


@contextmanager
def _filling(target: Path) -> Iterator[Path]:
    """Give an empty folder to fill, which becomes ``target`` at the end, or is packed into that archive."""
    folder = target.with_name(folder_name(target))
    if folder == target:
        with replacing_folder(target) as there:
            yield there
        return
    beside = target.with_name(f".{folder.name}.folder")
    with replacing_folder(beside) as there:
        yield there
        part = target.with_name(f".{target.name}.part")
        with tarfile.open(part, "w:gz") as archive:
            archive.add(there, folder.name)
        part.replace(target)
    shutil.rmtree(beside)


def hash_bytes(content: bytes) -> str:
    """Return the SHA-256 of ``content``."""
    return hashlib.sha256(content).hexdigest()


def hash_array(array: np.ndarray) -> str:
    """Return the SHA-256 of an array, its type and its shape."""
    digest = hashlib.sha256(f"{array.dtype.str} {array.shape}".encode())
    for part in np.array_split(array, max(1, array.nbytes // 2**24)):
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()


def keep_plan(project: Path, plan: Plan) -> None:
    """Keep ``plan`` in ``project``."""
    path = project / RECORDS / f"{plan.id}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(plan.model_dump_json(), encoding="utf-8")


def find_plan(project: Path, number: Any) -> Plan | None:
    """Return the plan of the folder with that id, None where this project has made no such folder."""
    if not isinstance(number, str) or not number.isalnum():
        return None
    path = project / RECORDS / f"{number}.json"
    return Plan.model_validate(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None


def _readme(plan: Plan) -> str:
    return f"""# {plan.recipe} on the machine that will serve

```sh
pip install numpy onnxruntime      # or the build of ONNX Runtime with the providers that are to be tried
python measure.py measured.json
```

It times {len(plan.candidates)} models with {len(plan.settings)} settings in turns with `{plan.reference}`, and compares
their answers with those in `answers/`. Let nothing else run meanwhile. Bring `measured.json` back:

```sh
thresher judge {plan.recipe} --measured measured.json
```
"""
