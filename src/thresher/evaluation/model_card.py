"""The model card: what travels with a model so that a stranger can judge it."""

from __future__ import annotations

from thresher.evaluation.report import latency_tables, metadata
from thresher.evaluation.report.context import Account
from thresher.evaluation.table import markdown_table, markdown_text, verdict_markdown

CARD = """# {name}

{description}

**{outcome}**

{table}

{conditions}

{requirements}

## Made and judged on

{data}

Inputs: {inputs}. Labels: {labels}.

## Trained and compressed

{training}

{chains}

{judged}## Measured on

{machine}

## Limits

{limits}
"""
PAIRED = "## Answers that changed"
NO_STEPS = "The float model is as it was trained."


def model_card(account: Account) -> str:
    """Return the card in Markdown.

    Source of the form: Mitchell et al., "Model Cards for Model Reporting", 2019; of its parts, those that can be
    measured here. What the model must not be used for is a person's to add.
    """
    return CARD.format(
        name=account.verdict.recipe,
        description=account.description or "(the recipe gives no description)",
        outcome=metadata.outcome(account),
        table=verdict_markdown(account.verdict),
        conditions=metadata.conditions(account),
        requirements=_list("The recipe requires:", metadata.requirements(account))
        or "The recipe requires nothing else.",
        data=markdown_table(("split", "samples", "SHA-256"), metadata.data_rows(account)),
        inputs=markdown_text(account.fingerprint.inputs),
        labels=markdown_text(metadata.label_words(account)),
        training=metadata.training_words(account),
        chains=_chains(account),
        judged=_judged(account),
        machine=_list("", [f"{key}: {value}" for key, value in metadata.machine_rows(account)]),
        limits=_list("", metadata.limits(account)),
    )


def _chains(account: Account) -> str:
    """Return what was done to the float model: the winner's steps first, then those of the others."""
    lines = metadata.chain_lines(account)
    order = sorted(lines, key=lambda name: name != account.winner)
    said = [f"{name}{' (wins)' * (name == account.winner)}: {'; '.join(lines[name])}" for name in order]
    return _list("Steps from the float model, in their order:", said) or NO_STEPS


def _judged(account: Account) -> str:
    """Return the sections on what the table of the verdict has no room for."""
    timings = markdown_table(latency_tables.TIMING_COLUMNS, latency_tables.timing_rows(account))
    footprints = markdown_table(latency_tables.footprint_columns(account), latency_tables.footprint_rows(account))
    parts = [
        *(f"## {latency_tables.TIMING_TITLE}", latency_tables.timing_caption(account), timings),
        *(f"## {latency_tables.FOOTPRINT_TITLE}", latency_tables.FOOTPRINT_CAPTION, footprints),
    ]
    if rows := metadata.paired_rows(account):
        parts += [PAIRED, metadata.PAIRED_CAPTION, markdown_table(metadata.PAIRED_COLUMNS, rows)]
    if rows := metadata.slice_rows(account):
        slices = markdown_table(metadata.slice_columns(account), rows)
        parts += [f"## {metadata.SLICES_TITLE}", f"{metadata.SLICES_CAPTION}.", slices]
    if rows := metadata.set_rows(account):
        sets = markdown_table(metadata.set_columns(account), rows)
        parts += [f"## {metadata.SETS_TITLE}", markdown_text(f"{metadata.set_sources(account)}."), sets]
    return "".join(f"{part}\n\n" for part in parts)


def _list(title: str, lines: list[str]) -> str:
    if not lines:
        return ""
    return "\n".join([*([title, ""] if title else []), *(f"- {markdown_text(line)}" for line in lines)])
