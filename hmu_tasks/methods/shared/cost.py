"""What an edit costs, in quantities that are the same on every machine."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """Cost of making and of using one edit.

    gradient_steps: optimiser steps, of all networks together (None: trained elsewhere). clips_read, captions_read:
    distinct training clips and captions that the method reads. extra_sampling: forward passes of the generator per
    sample, relative to the original's.
    """

    gradient_steps: int | None = 0
    clips_read: int = 0
    captions_read: int = 0
    extra_sampling: float = 1.0
