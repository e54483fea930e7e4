"""Ties the run's configuration to the pipelines that are built from it."""

from __future__ import annotations

from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl

from thresher.adapters.kedro import Catalog
from thresher.config_loader import use_loader
from thresher.datasets.model_file import ModelFileDataset, PretrainedFolderDataset
from thresher.models.imported.config import ExternalModel, GraphModel
from thresher.models.pretrained.config import Pretrained
from thresher.pipelines.stage import model_file, student_folders, tokenizer_folder


class RecipeHooks:
    """Hands the run's own config loader to the pipeline registry, before any pipeline is built, and the files that
    recipes name to the catalog."""

    _context: KedroContext

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        loader: Any = context.config_loader
        self._context = context
        use_loader(loader)

    @hook_impl
    def after_catalog_created(self, catalog: Catalog) -> None:
        loader: Any = self._context.config_loader
        for name, recipe in loader.recipes.items():
            if isinstance(recipe.model, ExternalModel):
                catalog[model_file(name)] = ModelFileDataset(path=str(self._context.project_path / recipe.model.path))
            elif isinstance(recipe.model, Pretrained):
                catalog[model_file(name)] = self._folder(recipe.model.path, recipe.model.init == "weights")
            for key, candidate in recipe.candidates.items():
                for dataset, (path, with_weights) in student_folders(name, key, candidate).items():
                    catalog[dataset] = self._folder(path, with_weights)
            if isinstance(recipe.model, GraphModel) and recipe.model.tokenizer is not None:
                catalog[tokenizer_folder(name)] = self._folder(recipe.model.tokenizer, False, of_graph=True)

    def _folder(self, path: str, with_weights: bool, of_graph: bool = False) -> PretrainedFolderDataset:
        path = str(self._context.project_path / path)
        return PretrainedFolderDataset(path=path, with_weights=with_weights, of_graph=of_graph)
