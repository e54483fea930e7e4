"""Thresher's own kinds."""

from __future__ import annotations

from math import inf
from typing import Any

from thresher.kinds.record import (
    AugmentationKind,
    CorruptionKind,
    Kind,
    MetricKind,
    ModalityKind,
    ModelKind,
    OptimizerKind,
    ReaderKind,
    ScheduleKind,
    TechniqueKind,
)

_MODALITIES = "thresher.modalities"
_IMPORTED = "thresher.models.imported"
_MODELS = "thresher.models"
_NETWORK = "thresher.compression.network"
_FILE = "thresher.compression.file"
_OPTIMIZERS = "thresher.training.optimizers"
_SCHEDULES = "thresher.training.schedules"
_CORRUPTIONS = "thresher.evaluation.corruptions"
_AUGMENTATION = "thresher.training.augmentation"
_FUSED = (("fused", True),)

MODELS = (
    ModelKind(
        "linear",
        f"{_MODELS}.linear:Linear",
        f"{_MODELS}.linear:build_linear",
        takes=("image", "tabular"),
        has_channels=False,
        has_blocks=False,
    ),
    *(
        ModelKind(
            name,
            f"{_MODELS}.{config}",
            f"{_MODELS}.{body}",
            takes=takes,
            has_blocks=name in ("resnet", "transformer"),
            has_attention=name == "transformer",
        )
        for name, config, body, takes in (
            ("mlp", "mlp:Mlp", "mlp:build_mlp", ("image", "tabular")),
            ("lenet", "lenet:LeNet", "lenet:build_lenet", ("image",)),
            ("cnn", "cnn:Cnn", "cnn:build_cnn", ("image",)),
            ("resnet", "resnet.config:Resnet", "resnet.network:build_resnet", ("image",)),
            ("textcnn", "textcnn.config:TextCnn", "textcnn.network:TextFilters", ("text",)),
            ("lstm", "recurrent.config:Lstm", "recurrent.network:RecurrentNetwork", ("text", "series")),
            ("gru", "recurrent.config:Gru", "recurrent.network:RecurrentNetwork", ("text", "series")),
            ("transformer", "transformer.config:Transformer", "transformer.network:TransformerEncoder", ("text",)),
            ("cnn1d", "cnn1d.config:Cnn1d", "cnn1d.network:SeriesFilters", ("series",)),
        )
    ),
    ModelKind(
        "boosted_trees",
        f"{_MODELS}.boosted_trees.config:BoostedTrees",
        f"{_MODELS}.boosted_trees.fit:fit_boosted_trees",
        takes=("tabular",),
        has_channels=False,
        has_blocks=False,
        is_network=False,
    ),
    ModelKind(
        "pretrained",
        f"{_MODELS}.pretrained.config:Pretrained",
        f"{_MODELS}.pretrained.network:PretrainedNetwork",
        takes=("image", "text"),
        has_attention=True,
    ),
    *(
        ModelKind(name, f"{_IMPORTED}.config:{config}", implementation, is_trained_here=False)
        for name, config, implementation in (
            ("onnx", "OnnxModel", ""),
            ("exported", "ExportedModel", ""),
            ("checkpoint", "Checkpoint", f"{_IMPORTED}.checkpoint:begin_with_checkpoint"),
        )
    ),
)

TECHNIQUES = (
    TechniqueKind(
        "prune_channels",
        f"{_NETWORK}.prune_channels:PruneChannels",
        f"{_NETWORK}.prune_channels:prune_channels",
        works_on="network",
        is_searchable=True,
        changes_structure=True,
        removes_channels=True,
    ),
    TechniqueKind(
        "prune_vocabulary",
        f"{_NETWORK}.prune_vocabulary:PruneVocabulary",
        f"{_NETWORK}.prune_vocabulary:prune_vocabulary",
        works_on="network",
        is_searchable=True,
        changes_structure=True,
        takes=("text",),
        once=True,
    ),
    # Not searchable: it makes no file smaller and no call faster.
    TechniqueKind(
        "prune_weights",
        f"{_NETWORK}.prune_weights:PruneWeights",
        f"{_NETWORK}.prune_weights:prune_weights",
        works_on="network",
    ),
    TechniqueKind(
        "factorize",
        f"{_NETWORK}.factorize:Factorize",
        f"{_NETWORK}.factorize:factorize",
        works_on="network",
        is_searchable=True,
        changes_structure=True,
    ),
    TechniqueKind(
        "distill",
        f"{_NETWORK}.distill:DistillStudent",
        f"{_NETWORK}.distill:distill",
        works_on="network",
        changes_structure=True,
    ),
    TechniqueKind(
        "drop_layers",
        f"{_NETWORK}.drop_layers:DropLayers",
        f"{_NETWORK}.drop_layers:drop_layers",
        works_on="network",
        is_searchable=True,
        changes_structure=True,
        removes_blocks=True,
    ),
    TechniqueKind("finetune", f"{_NETWORK}.finetune:Finetune", f"{_NETWORK}.finetune:finetune", works_on="network"),
    TechniqueKind(
        "quantize_aware",
        f"{_NETWORK}.quantize_aware:QuantizeAware",
        f"{_NETWORK}.quantize_aware:quantize_aware",
        works_on="network",
        ends_chain=True,
        is_searchable=True,
    ),
    TechniqueKind(
        "quantize_dynamic",
        f"{_FILE}.quantize_dynamic:QuantizeDynamic",
        f"{_FILE}.quantize_dynamic:quantize_dynamic",
        works_on="file",
        ends_chain=True,
        is_searchable=True,
        quantizes=True,
    ),
    TechniqueKind(
        "quantize_static",
        f"{_FILE}.quantize_static:QuantizeStatic",
        f"{_FILE}.quantize_static:quantize_static",
        works_on="file",
        ends_chain=True,
        is_searchable=True,
        quantizes=True,
    ),
    TechniqueKind(
        "quantize_weights",
        f"{_FILE}.quantize_weights:QuantizeWeights",
        f"{_FILE}.quantize_weights:quantize_weights",
        works_on="file",
        ends_chain=True,
        is_searchable=True,
        quantizes=True,
    ),
    TechniqueKind(
        "half",
        f"{_FILE}.float16:Half",
        f"{_FILE}.float16:half",
        works_on="file",
        ends_chain=True,
        is_searchable=True,
        quantizes=True,
    ),
    TechniqueKind(
        "optimize_graph",
        f"{_FILE}.optimize_graph:OptimizeGraph",
        f"{_FILE}.optimize_graph:optimize_graph",
        works_on="file",
        follows_all=True,
    ),
)

OPTIMIZERS = (
    OptimizerKind("sgd", f"{_OPTIMIZERS}:Sgd", "torch.optim:SGD", options=_FUSED),
    OptimizerKind("rmsprop", f"{_OPTIMIZERS}:RmsProp", "torch.optim:RMSprop"),
    OptimizerKind("adagrad", f"{_OPTIMIZERS}:Adagrad", "torch.optim:Adagrad", options=_FUSED),
    OptimizerKind("adam", f"{_OPTIMIZERS}:Adam", "torch.optim:Adam", options=_FUSED),
    OptimizerKind("adamw", f"{_OPTIMIZERS}:AdamW", "torch.optim:AdamW", options=_FUSED),
    OptimizerKind("nadam", f"{_OPTIMIZERS}:NAdam", "torch.optim:NAdam"),
    OptimizerKind(
        "muon",
        f"{_OPTIMIZERS}:Muon",
        "torch.optim:Muon",
        options=(("adjust_lr_fn", "match_rms_adamw"),),
        matrices_only=True,
    ),
    OptimizerKind("lbfgs", f"{_OPTIMIZERS}:Lbfgs", "torch.optim:LBFGS", measures_steps=True),
)

SCHEDULES = tuple(
    ScheduleKind(name, f"{_SCHEDULES}:{config}", f"{_SCHEDULES}:{function}")
    for name, config, function in (
        ("constant", "Constant", "constant"),
        ("step", "Step", "step"),
        ("cosine", "Cosine", "cosine"),
        ("one_cycle", "OneCycle", "one_cycle"),
    )
)

AUGMENTATIONS = tuple(
    AugmentationKind(name, f"{_AUGMENTATION}:{config}", f"{_AUGMENTATION}:{name}")
    for name, config in (("flip", "Flip"), ("shift", "Shift"), ("crop", "Crop"), ("cutout", "Cutout"))
)

CORRUPTIONS = tuple(
    CorruptionKind(name, f"{_CORRUPTIONS}.{module}:{config}", f"{_CORRUPTIONS}.{module}:{name}", takes=(modality,))
    for modality, module, name, config in (
        ("image", "images", "gaussian_noise", "GaussianNoise"),
        ("image", "images", "gaussian_blur", "GaussianBlur"),
        ("image", "images", "contrast", "Contrast"),
        ("image", "images", "jpeg", "JpegCompression"),
        ("text", "texts", "typos", "Typos"),
        ("text", "texts", "case", "Case"),
        ("tabular", "rows", "missing_values", "MissingValues"),
        ("tabular", "rows", "shifted_columns", "ShiftedColumns"),
        ("series", "series", "dropped_samples", "DroppedSamples"),
    )
)

MODALITIES = tuple(
    ModalityKind(
        name,
        f"{_MODALITIES}.{name}.encoder:{prefix}Encoding",
        f"{_MODALITIES}.{name}.encoder:{prefix}Encoder",
        model_input=f"{_MODALITIES}.{name}.model_input:{prefix}Input",
        input_transform=f"{_MODALITIES}.{name}.input_transform:{prefix}Transform",
        description=f"{_MODALITIES}.{name}.description:{prefix}Description",
        service=f"{_MODALITIES}.{name}.service:{prefix}Service",
        adapter=f"{_IMPORTED}.{adapter}:adapt_{name}",
        graph_options=graph_options,
    )
    for name, prefix, adapter, graph_options in (
        ("image", "Image", "adapter", ("layout", "scale", "mean", "std", "channel_order")),
        ("text", "Text", "text_adapter", ("inputs", "tokenizer")),
        ("tabular", "Tabular", "adapter", ("rows",)),
        ("series", "Series", "adapter", ("layout", "scale", "mean", "std")),
    )
)

READERS = tuple(
    ReaderKind(name, implementation=f"thresher.readers.{module}:{name}")
    for name, module in (
        ("BundledDigits", "bundled"),
        ("BundledTable", "bundled"),
        ("IdxImages", "idx"),
        ("ImageFolder", "image_folder"),
        ("ImageSheets", "image_files"),
        ("LabeledLines", "texts"),
        ("NpzImages", "image_files"),
        ("ParquetImages", "image_files"),
        ("ParquetSeries", "series"),
        ("TableFile", "tables"),
        ("TextTable", "texts"),
        ("TsSeries", "series"),
    )
)

_LESS_OFTEN_RIGHT = "less often right over the classes than"
_SHARE, _NOT_NEGATIVE = (0, 1), (0, inf)


def _metric(module: str, name: str, vectorized: str, requires: str, **traits: Any) -> MetricKind:
    """Return a metric that a module of the evaluation computes."""
    return MetricKind(
        name,
        implementation=f"thresher.evaluation.{module}:{name}",
        vectorized=f"thresher.evaluation.{module}:{vectorized}",
        requires=f"thresher.evaluation.metric_requirements:{requires}" if requires else "",
        **traits,
    )


def _class_metric(name: str, vectorized: str, requires: str = "", shares: str = "", **traits: Any) -> MetricKind:
    """Return a metric of the served classes."""
    return _metric(
        "class_metrics",
        name,
        vectorized,
        requires,
        shares=f"thresher.evaluation.class_metrics:{shares}" if shares else "",
        task="classification",
        judges="classes",
        **{"baseline": "balanced_accuracy", "resamples": 10_000, "span": _SHARE, **traits},
    )


def _probability_metric(name: str, vectorized: str, requires: str = "", **traits: Any) -> MetricKind:
    """Return a metric of the probabilities."""
    settings = {"baseline": "log_loss", "span": _SHARE, **traits}
    return _metric("probability_metrics", name, vectorized, requires, task="classification", **settings)


def _value_metric(name: str, requires: str = "", **traits: Any) -> MetricKind:
    """Return a metric of a regression."""
    settings = {"smaller_is_better": True, "worse_word": "less accurate than", "span": _NOT_NEGATIVE, **traits}
    return _metric("value_metrics", name, f"{name}s", requires, task="regression", **settings)


def _machine_metric(name: str, measures: str, worse_word: str, **traits: Any) -> MetricKind:
    """Return a metric of what a model costs, and not of how well it answers."""
    settings = {"measures": measures, "worse_word": worse_word, "smaller_is_better": True, **traits}
    return MetricKind(name, span=_NOT_NEGATIVE, **settings)


METRICS = (
    _class_metric(
        "accuracy",
        "accuracies",
        shares="right_answers",
        is_always_measured=True,
        baseline="",
        worse_word="less accurate than",
    ),
    _class_metric(
        "balanced_accuracy",
        "balanced_accuracies",
        shares="right_answers_by_class",
        is_always_measured=True,
        worse_word="less accurate over the classes than",
    ),
    _class_metric("precision", "precisions", shares="right_of_answered", takes="class", worse_word="less precise than"),
    _class_metric(
        "recall", "recalls", "a_sample_of_class", "found_of_class", takes="class", worse_word="finds fewer than"
    ),
    _class_metric("f1", "f1s", "a_sample_of_class", takes="class", worse_word="a smaller F1 than"),
    _class_metric("precision_macro", "precisions_macro", "each_class", worse_word=_LESS_OFTEN_RIGHT),
    _class_metric(
        "recall_macro", "recalls_macro", "each_class", "right_answers_by_class", worse_word=_LESS_OFTEN_RIGHT
    ),
    _class_metric("f1_macro", "f1s_macro", "each_class", worse_word=_LESS_OFTEN_RIGHT),
    _class_metric("precision_weighted", "precisions_weighted", worse_word=_LESS_OFTEN_RIGHT),
    _class_metric("recall_weighted", "recalls_weighted", worse_word=_LESS_OFTEN_RIGHT),
    _class_metric("f1_weighted", "f1s_weighted", worse_word=_LESS_OFTEN_RIGHT),
    _class_metric(
        "cost", "costs", takes="costs", smaller_is_better=True, worse_word="costlier than", span=_NOT_NEGATIVE
    ),
    _class_metric("mcc", "mccs", "two_classes", worse_word="less correlated with the labels than", span=(-1, 1)),
    _probability_metric(
        "log_loss",
        "log_loss_means",
        is_always_measured=True,
        smaller_is_better=True,
        worse_word="less sure of the right class than",
        span=_NOT_NEGATIVE,
    ),
    _probability_metric(
        "brier", "briers", smaller_is_better=True, worse_word="less exact probabilities than", span=(0, 2)
    ),
    _probability_metric(
        "expected_calibration_error",
        "calibration_errors",
        smaller_is_better=True,
        worse_word="less calibrated than",
    ),
    _probability_metric(
        "roc_auc",
        "roc_aucs",
        "class_and_others",
        takes="class",
        may_be_bare=True,
        worse_word="separates the classes less than",
    ),
    _probability_metric(
        "average_precision",
        "average_precisions",
        "class_that_is_named",
        takes="class",
        may_be_bare=True,
        worse_word="separates the classes less than",
    ),
    _probability_metric(
        "top_k_accuracy",
        "top_k_accuracies",
        "fewer_guesses_than_classes",
        shares="thresher.evaluation.probability_metrics:in_top_k",
        takes="count",
        baseline="",
        worse_word="less often right in as many guesses than",
    ),
    MetricKind(
        "accuracy_drop",
        task="classification",
        smaller_is_better=True,
        has_interval=True,
        worse_word="less accurate than",
        span=(-1, 1),
    ),
    MetricKind("mcnemar_p", task="classification", span=_SHARE, worse_word="more surely different from float than"),
    _value_metric("rmse", is_always_measured=True),
    _value_metric("mae", is_always_measured=True, baseline="mae"),
    _value_metric("r2", is_always_measured=True, smaller_is_better=False, span=(-inf, 1)),
    _value_metric("mape", "no_zero"),
    _value_metric("rmsle", "above_minus_one"),
    _value_metric("median_absolute_error", baseline="mae"),
    _value_metric("pinball", takes="quantile", worse_word="a larger pinball loss than"),
    MetricKind(
        "rmse_increase", task="regression", smaller_is_better=True, has_interval=True, worse_word="less accurate than"
    ),
    _machine_metric("size_bytes", "cost", "larger than"),
    _machine_metric("compressed_bytes", "cost", "larger, compressed, than"),
    _machine_metric("num_parameters", "cost", "more parameters than"),
    _machine_metric("macs", "cost", "more multiply-accumulates than"),
    _machine_metric("peak_memory_bytes", "footprint", "more memory than"),
    _machine_metric("load_ms", "footprint", "slower to load than"),
    _machine_metric("latency_ms_p50", "latency", "slower than"),
    _machine_metric("latency_ms_p90", "latency", "slower in the tail than"),
    _machine_metric("latency_ms_p99", "latency", "slower in the tail than"),
    _machine_metric("speedup", "latency", "slower than", smaller_is_better=False, has_interval=True),
    _machine_metric("throughput", "latency", "fewer samples a second than", smaller_is_better=False),
    _machine_metric("energy_joules", "energy", "more energy than"),
)


KINDS: tuple[Kind, ...] = (
    *MODALITIES,
    *MODELS,
    *TECHNIQUES,
    *OPTIMIZERS,
    *SCHEDULES,
    *AUGMENTATIONS,
    *CORRUPTIONS,
    *READERS,
    *METRICS,
)
