"""The code that goes with a model: copies of modules that import nothing of Thresher but each other."""

from __future__ import annotations

import hashlib
from pathlib import Path

HERE = Path(__file__).parent
ENCODER_IMPORT = "\n\nfrom thresher.exported.encode_tabular import encode"
PREDICTOR_IMPORT = "\n\nfrom thresher.exported.predictor import Predictor"
"""Lines that name modules of ours; in a copy stands the module beside it."""


def has_code(modality: str) -> bool:
    """Return whether there is such code for a modality."""
    return _encoder_of(modality).is_file()


def write_code(folder: Path, modality: str) -> None:
    """Write predictor.py and encode.py into ``folder``, for the command line and for imports from there."""
    for name, text in _modules(modality, "").items():
        (folder / name).write_text(text, encoding="utf-8")


def write_package(folder: Path, modality: str) -> str:
    """Write a package that MLflow can load a model by into ``folder``, and return its name.

    The name has the hash of the content: a process that loads two models imports the code of each.
    """
    modules = _modules(modality, ".")
    loader = (HERE / "mlflow_model.py").read_text(encoding="utf-8")
    assert PREDICTOR_IMPORT in loader
    modules["__init__.py"] = loader.replace(PREDICTOR_IMPORT, "\n\nfrom .predictor import Predictor")
    content = "".join(text for _, text in sorted(modules.items()))
    name = f"exported_{hashlib.sha256(content.encode()).hexdigest()[:12]}"
    (folder / name).mkdir()
    for module, text in modules.items():
        (folder / name / module).write_text(text, encoding="utf-8")
    return name


def _modules(modality: str, package: str) -> dict[str, str]:
    predictor = (HERE / "predictor.py").read_text(encoding="utf-8")
    assert ENCODER_IMPORT in predictor
    imported = f"{chr(10) * (2 if package else 1)}from {package}encode import encode"
    return {
        "predictor.py": predictor.replace(ENCODER_IMPORT, imported),
        "encode.py": _encoder_of(modality).read_text(encoding="utf-8"),
    }


def _encoder_of(modality: str) -> Path:
    return HERE / f"encode_{modality}.py"
