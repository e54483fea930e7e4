"""How the same sums are done fastest on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from thresher.config import Config

if TYPE_CHECKING:
    from thresher.models.network import Network

Auto = Literal["auto"]


class Execution(Config):
    """What a rule does not decide, a short timed trial does before the first training; the decision is kept and said.

    Give all three for weights that are bit-identical on another day: a trial may come out differently.
    """

    channels_last: bool | Auto = "auto"
    """Whether images lie in memory with their channels last. auto: always on a CPU, where it was faster in all that was
    measured; as timed on a GPU."""
    compile: bool | Auto = "auto"
    """Whether torch.compile makes one program of the network.

    auto never compiles on a CPU, where it was measured slower than what it replaces, and on a GPU tries it only for
    a training that is long enough to pay for the minute that compiling may take.
    """
    threads: Annotated[int, Field(ge=1, le=1024)] | Auto = Field(default="auto", union_mode="left_to_right")
    """The CPU threads of one operation."""


class Measured(Config):
    """One way that was tried, and how fast it was."""

    channels_last: bool
    compile: bool
    threads: int
    precision: Literal["fp32", "bf16"]
    samples_per_second: float
    """The median over the rounds of the trial."""


class ChosenExecution(Config):
    """How every training of a run is done."""

    channels_last: bool
    compile: bool
    threads: int
    precision: Literal["fp32", "bf16"] = "fp32"
    """What ``training.precision: auto`` comes to; a recipe that names a precision has that one."""
    trials: tuple[Measured, ...] = ()
    """What was measured, in order; empty where the recipe fixes everything."""


def default_execution(config: Execution, network: Network | None) -> ChosenExecution:
    """Return ``config`` with what is left open decided without a trial: channels last for images, no compiling.

    Args:
        network: None for students of what is no network, which takes no images.
    """
    import torch

    return ChosenExecution(
        channels_last=network is not None and has_channels(network) and config.channels_last in (True, "auto"),
        compile=config.compile is True,
        threads=torch.get_num_threads() if config.threads == "auto" else config.threads,
    )


def has_channels(network: Network) -> bool:
    """Return whether ``network`` has a memory format to choose: it convolves over images."""
    return any(weight.ndim == 4 for weight in network.parameters())
