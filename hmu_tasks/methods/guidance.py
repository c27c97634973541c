"""Negative guidance: every draw steers away from the concept, with the weights left as they are.

Classifier-free guidance (Ho and Salimans 2022) with a third condition, as negative prompts are used in image
generation: u + s ((c - u) - g (n - u)), where c, u and n are the logits for the prompt, for no text, and for the
concept.
"""

from hmu_tasks.methods.shared.closed_form import Texts
from hmu_tasks.models.generators.sampling import Negative


def negative(texts: Texts, *, strength: float = 0.25) -> Negative:
    """Return what to steer away from: the mean forget text, with `strength` of the guidance towards the prompt."""
    return Negative(texts.forget.mean(dim=0), strength)
