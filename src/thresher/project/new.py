"""`thresher new`: a project of the user's own, made of the files of Thresher's own repository.

There is no starter for `kedro new --starter`: Kedro renders a starter by cookiecutter, as Jinja templates in a folder
`{{ cookiecutter.repo_name }}`, so that one would need a second copy of all these files.
"""

from __future__ import annotations

import json
import keyword
import re
import shutil
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import yaml

from thresher import __version__
from thresher.project.folder import ProjectError, find_templates

RECIPES = ("digits", "fashion_mnist", "trec_textcnn", "adult_mlp", "vowels_gru")
"""The default recipe, and one a modality."""
FILES = (".gitignore", "bentofile.yaml", "data/README.md", "docs/recipe.schema.json", "docs/catalog.schema.json")
CONF = ("logging.yml", "base/mlflow.yml", "base/parameters.yml", "gpu/parameters.yml", "prod/mlflow.yml")
CATALOG = "conf/base/catalog.yml"
RULES = ("run", "ui", "serve", "container", "clean", "help")
"""Rules of our Makefile that a new project has, too."""

PYPROJECT = """[project]
name = {distribution}
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["thresher=={thresher}"]

[tool.kedro]
package_name = "thresher"
project_name = {name}
kedro_init_version = "{kedro}"
source_dir = "src"

[tool.thresher]
kinds = "{package}.kinds"
"""
KINDS = '''"""What recipes of this project can name besides Thresher's own kinds (Thresher's docs/extend.md)."""

from thresher.kinds import Kind

KINDS: list[Kind] = [
    # ModelKind("own_net", "{package}.settings:OwnNet", "{package}.own_net:OwnNetBody", takes=("image",)),
]
'''
MAKEFILE = """# The commands of this project, with Thresher of .venv or of the shell; `thresher --help` has all of them.
.PHONY: {rules}
.DEFAULT_GOAL := help

export PATH := $(CURDIR)/.venv/bin:$(PATH)
RECIPE ?= digits

test: ## Check all recipes, and the data that they name
	thresher check

"""
README = """# {name}

A project of Thresher: one YAML recipe and a data set go in; out comes the smallest, fastest model that provably keeps
its accuracy, in a container. It needs Thresher, `pip install thresher=={thresher}`, in the shell or in `.venv`.

```sh
make run      # run the recipe digits; RECIPE=NAME for another, or: thresher run NAME
make test     # check all recipes, and the data that they name, or: thresher check
```

Then `thresher ui` shows the run, `thresher predict digits FILE` answers a picture, and `thresher serve digits` serves
the champion. `digits` brings its data along; `thresher check` says which data set another recipe needs, and
`thresher fetch NAME` gets it.

For your own data, describe your files in `conf/base/catalog.yml` (`thresher readers` has every format), copy the recipe
of that modality, name your entries in it, and run `thresher check`.

| folder | what is in it |
| --- | --- |
| `pipelines/` | the recipes, one file each: copy one and change it |
| `conf/base/catalog.yml` | your data, as recipes name it |
| `data/` | the data itself, and what runs make of it |
| `src/{package}/` | your own models, techniques, metrics and readers |
| `bentofile.yaml` | what a Bento holds |

`thresher kinds` lists what a recipe can name, `thresher --help` has all commands.
"""


def new_project(folder: Path) -> str:
    """Make a project in ``folder``, which must be new or empty, and return the name of its package below src/.

    Raises:
        ProjectError: the folder is not empty, or cannot be written.
    """
    name = folder.resolve().name
    package = _package_name(name)
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ProjectError(f"{folder} exists and is not empty. Fix: name a new folder.")
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder, name, package, find_templates())
    except OSError as error:
        raise ProjectError(f"{folder}: {error.strerror or error}. Fix: name a folder that can be written.") from error
    return package


def _write(folder: Path, name: str, package: str, templates: Path) -> None:
    for part in (*FILES, *(f"conf/{each}" for each in CONF), *(f"pipelines/{recipe}.yml" for recipe in RECIPES)):
        (folder / part).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(templates / part, folder / part)
    values = {
        "name": json.dumps(name, ensure_ascii=False),
        "distribution": json.dumps(package.replace("_", "-")),
        "package": package,
        "thresher": __version__,
        "kedro": version("kedro"),
    }
    texts = {
        "pyproject.toml": PYPROJECT.format(**values),
        "README.md": README.format(name=name, package=package, thresher=__version__),
        "Makefile": _select_rules((templates / "Makefile").read_text(encoding="utf-8")),
        CATALOG: _select_entries((templates / CATALOG).read_text(encoding="utf-8"), folder),
        f"src/{package}/__init__.py": f'"""Own code of the project {package}."""\n',
        f"src/{package}/kinds.py": KINDS.replace("{package}", package),
        "conf/local/.gitkeep": "",
    }
    for place, text in texts.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(text, encoding="utf-8")


def _package_name(name: str) -> str:
    """Return a name for the project's own package that shadows no module that can be imported."""
    package = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    if not package or not package[0].isalpha():
        package = f"project_{package}".rstrip("_")
    taken = package in sys.stdlib_module_names or keyword.iskeyword(package) or find_spec(package) is not None
    return f"{package}_project" if taken else package


def _select_rules(makefile: str) -> str:
    """Return a Makefile with those rules of ours that are about recipes."""
    blocks = {block.split(":")[0]: block for block in makefile.split("\n\n")}
    rules = [
        blocks[rule].replace(" $(INSTALLED)", "").replace("Set up, then run the", "Run the").rstrip() for rule in RULES
    ]
    return MAKEFILE.format(rules=" ".join(["test", *RULES])) + "\n\n".join(rules) + "\n"


def _select_entries(catalog: str, folder: Path) -> str:
    """Return those blocks of our catalog whose data the recipes in ``folder`` name."""
    wanted = set()
    for recipe in RECIPES:
        data = yaml.safe_load((folder / "pipelines" / f"{recipe}.yml").read_text(encoding="utf-8"))["data"]
        wanted |= {data["train"].split(".")[0], data["test"].split(".")[0]}
    names = re.compile(rf"^({'|'.join(sorted(wanted))})\.", re.MULTILINE)
    return "\n\n".join(block.rstrip() for block in catalog.split("\n\n") if names.search(block)) + "\n"
