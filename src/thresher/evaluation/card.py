"""The model card: what travels with a model so that a stranger can judge it."""

from __future__ import annotations

from thresher.evaluation.report import facts, measured
from thresher.evaluation.report.account import Account
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
        outcome=facts.outcome(account),
        table=verdict_markdown(account.verdict),
        conditions=facts.conditions(account),
        requirements=_list("The recipe requires:", facts.requirements(account)) or "The recipe requires nothing else.",
        data=markdown_table(("split", "samples", "SHA-256"), facts.data_rows(account)),
        inputs=markdown_text(account.fingerprint.inputs),
        labels=markdown_text(facts.label_words(account)),
        training=facts.training_words(account),
        chains=_chains(account),
        judged=_judged(account),
        machine=_list("", [f"{key}: {value}" for key, value in facts.machine_rows(account)]),
        limits=_list("", facts.limits(account)),
    )


def _chains(account: Account) -> str:
    """Return what was done to the float model: the winner's steps first, then those of the others."""
    lines = facts.chain_lines(account)
    order = sorted(lines, key=lambda name: name != account.winner)
    said = [f"{name}{' (wins)' * (name == account.winner)}: {'; '.join(lines[name])}" for name in order]
    return _list("Steps from the float model, in their order:", said) or NO_STEPS


def _judged(account: Account) -> str:
    """Return the sections on what the table of the verdict has no room for."""
    timings = markdown_table(measured.TIMING_COLUMNS, measured.timing_rows(account))
    footprints = markdown_table(measured.footprint_columns(account), measured.footprint_rows(account))
    parts = [
        *(f"## {measured.TIMING_TITLE}", measured.timing_caption(account), timings),
        *(f"## {measured.FOOTPRINT_TITLE}", measured.FOOTPRINT_CAPTION, footprints),
    ]
    if rows := facts.paired_rows(account):
        parts += [PAIRED, facts.PAIRED_CAPTION, markdown_table(facts.paired_columns(), rows)]
    if rows := facts.slice_rows(account):
        slices = markdown_table(facts.slice_columns(account), rows)
        parts += [f"## {facts.SLICES_TITLE}", f"{facts.SLICES_CAPTION}.", slices]
    return "".join(f"{part}\n\n" for part in parts)


def _list(title: str, lines: list[str]) -> str:
    if not lines:
        return ""
    return "\n".join([*([title, ""] if title else []), *(f"- {markdown_text(line)}" for line in lines)])
