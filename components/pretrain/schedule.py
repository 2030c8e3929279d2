"""The learning rate of a phase's steps, as a fraction of the peak."""

import math

from parable.recipe import Phase


def rate_fraction(phase: Phase, step: int, num_steps: int) -> float:
    """The fraction of the peak rate at a step of a phase.

    A linear warm-up from `start_fraction`, then constant, linear or cosine down to `final_fraction`, which
    the phase's last step reaches.

    Args:
        phase: its schedule.
        step: counted from 0 within the phase.
        num_steps: of the phase.
    """
    warmup = phase.warmup_steps
    if step < warmup:
        return phase.start_fraction + (1.0 - phase.start_fraction) * step / warmup
    if phase.schedule == "constant":
        return 1.0
    done = (step - warmup + 1) / (num_steps - warmup)
    left = 1.0 - done if phase.schedule == "linear" else 0.5 * (1.0 + math.cos(math.pi * done))
    return phase.final_fraction + (1.0 - phase.final_fraction) * left
