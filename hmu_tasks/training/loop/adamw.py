"""AdamW by torch's own fused function, without `torch.optim.Optimizer`.

That class loads torch's compiler (`torch._dynamo` with sympy) when it takes its parameters and again asks for it in
every step; no setting prevents it, and nothing here is compiled. It costs 1.1 s of CPU time in every
process that trains. The numbers are those of `torch.optim.AdamW(fused=True)`, to the bit.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim.adamw import adamw


class AdamW:
    """Decoupled weight decay (Loshchilov & Hutter 2019) with one learning rate for all parameters.

    decay: weight decay
    """

    def __init__(
        self, parameters: Iterable[Tensor], *, rate: float, betas: tuple[float, float], decay: float
    ) -> None:
        """Take the parameters to train; their state is made with their first gradient."""
        self.parameters = list(parameters)
        self.betas, self.decay = betas, decay
        self.state: dict[int, dict[str, Tensor]] = {}
        device = self.parameters[0].device if self.parameters else torch.device("cpu")
        # A recorded step reads the rate from one place on the device.
        self._rate: float | Tensor = torch.zeros((), device=device) if device.type == "cuda" else 0.0
        self.rate = rate

    @property
    def rate(self) -> float | Tensor:
        """Learning rate of the next step; on a GPU a tensor."""
        return self._rate

    @rate.setter
    def rate(self, rate: float) -> None:
        if isinstance(self._rate, Tensor):
            self._rate.fill_(rate)
        else:
            self._rate = rate

    def zero_grad(self) -> None:
        """Drop the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter that has a gradient."""
        found = [(i, p, p.grad) for i, p in enumerate(self.parameters) if p.grad is not None]
        states = [self._state_of(i, p) for i, p, _ in found]
        adamw(
            [p for _, p, _ in found],
            [grad for _, _, grad in found],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            fused=True,
            amsgrad=False,
            beta1=self.betas[0],
            beta2=self.betas[1],
            lr=self.rate,
            weight_decay=self.decay,
            eps=1e-8,
            maximize=False,
        )

    def state_dict(self) -> dict[int, dict[str, Tensor]]:
        """Return what a continued training needs: the moments and the number of steps of each parameter."""
        return self.state

    def load_state_dict(self, state: Mapping[int, Mapping[str, Any]]) -> None:
        """Take the state back, on the parameters' devices; the network's own weights say whether it fits."""
        self.state = {
            number: {name: tensor.to(self.parameters[number].device) for name, tensor in moments.items()}
            for number, moments in state.items()
        }

    def _state_of(self, number: int, parameter: Tensor) -> dict[str, Tensor]:
        if number not in self.state:
            self.state[number] = {
                "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
                "exp_avg": torch.zeros_like(parameter, memory_format=torch.preserve_format),
                "exp_avg_sq": torch.zeros_like(parameter, memory_format=torch.preserve_format),
            }
        return self.state[number]
