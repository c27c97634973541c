"""How long computations tell how far they are."""

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Takes the number of steps done, and of all."""
