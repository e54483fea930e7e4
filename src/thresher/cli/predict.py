"""The commands that answer one file or new data of any size, and that take the model out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from thresher.cli.champions import ENVIRONMENT
from thresher.prediction.command import score
from thresher.prediction.remote import is_address
from thresher.prediction.run import Request
from thresher.project.folder import find_project
from thresher.registry.champion_model import load_champion
from thresher.registry.export import export_champion


@click.command()
@click.argument("recipe")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--in", "data", metavar="DATA", help="A file or folder of new data, or an address: http, https or file.")
@click.option("--out", metavar="FILE", type=click.Path(path_type=Path), help="The answers, .parquet or .csv.")
@click.option("--explain", is_flag=True, help="Add to each answer what of its sample mattered; far slower.")
@click.option(
    "--where",
    multiple=True,
    metavar="CONDITION",
    help="""Answer only rows for which it holds, such as 'col("age") >= 30'; several hold together.""",
)
@click.option("--id", metavar="COLUMN", help="The column that names each row; without it, rows are counted from 1.")
@click.option("--drop", multiple=True, metavar="COLUMN", help="A column that the model does not know.")
@ENVIRONMENT
def predict(recipe: str, file: Path | None, data: str | None, out: Path | None, env: str | None, **asked: Any) -> None:
    """Answer one file with the champion of a recipe, or score all of --in into --out.

    FILE is what the service takes: JSON of one or many samples, a PNG or JPEG picture, or a text; the answer is printed
    in JSON.

    --in takes data of any size, written as the recipe's test data is, with labels or without: CSV, Parquet, JSON Lines,
    .ts, a text a line, or a folder of pictures; or the address of such a file. A command that was killed goes on where
    it was when it is run again. Samples that cannot be answered are in FILE.rejected.jsonl, counts and drift in
    FILE.report.json and in MLflow.
    """
    if file is None and data is not None and out is not None:
        address = data if is_address(data) else ""
        settings = (asked["explain"], asked["id"], asked["drop"], asked["where"])
        score(find_project(), Request(recipe, Path(data), out, *settings, address), env)
        return
    if file is None or data is not None or out is not None or any(asked.values()):
        raise click.UsageError("Name either a FILE to answer, or data to score by both --in and --out.")
    model = load_champion(find_project(), recipe, env)
    predictions = model.predict_file(file)
    version = model.info.model_version
    click.echo(json.dumps({"predictions": predictions, "model": recipe, "model_version": version}, indent=2))


@click.command()
@click.argument("recipe")
@click.argument("folder", type=click.Path(path_type=Path))
@ENVIRONMENT
def export(recipe: str, folder: Path, env: str | None) -> None:
    """Write the champion of a recipe into a new folder, for a phone, a C++ program or another team.

    FOLDER gets the ONNX file, the encoder, a predictor that needs numpy and ONNX Runtime alone, the verdict, checksums
    and a README.
    """
    export_champion(find_project(), recipe, folder, env)
