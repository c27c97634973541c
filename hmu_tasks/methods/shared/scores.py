"""What Latent Code Replacement's section and its choice of codes both name; sections load no numpy, nor does this."""

from typing import Literal

KEY = "unlearn.lcr.strengths"
Score = Literal["ratio", "log_odds"]
