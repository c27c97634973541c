"""The tokenizer's one-dimensional residual encoder and decoder, with the published parameter names."""

from torch import Tensor, nn

from hmu_tasks.models.networks.layers import Dropout


class ResidualBlock(nn.Module):
    """ReLU, dilated convolution, ReLU, pointwise convolution, dropout, sum."""

    def __init__(self, width: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.activation = nn.ReLU()
        self.conv1 = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)
        self.conv2 = nn.Conv1d(width, width, 1)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """x: [B, width, F] -> [B, width, F]."""
        y = self.conv2(self.activation(self.conv1(self.activation(x))))
        out: Tensor = x + self.dropout(y)
        return out


class ResidualStack(nn.Module):
    """`depth` residual blocks, the widest dilation first."""

    def __init__(self, width: int, depth: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.model = nn.Sequential(
            *(ResidualBlock(width, dilation**level, dropout) for level in reversed(range(depth)))
        )

    def forward(self, x: Tensor) -> Tensor:
        """x: [B, width, F] -> [B, width, F]."""
        out: Tensor = self.model(x)
        return out


class ConvEncoder(nn.Module):
    """Features [B, D, F] to latents [B, C, F // 2 ** stages]."""

    def __init__(
        self,
        features: int,
        width: int,
        code_width: int,
        stages: int,
        depth: int,
        dilation: int,
        dropout: float,
    ) -> None:
        super().__init__()
        down = [
            nn.Sequential(
                nn.Conv1d(width, width, 4, stride=2, padding=1),
                ResidualStack(width, depth, dilation, dropout),
            )
            for _ in range(stages)
        ]
        self.model = nn.Sequential(
            nn.Conv1d(features, width, 3, padding=1),
            nn.ReLU(),
            *down,
            nn.Conv1d(width, code_width, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """x: [B, D, F] -> [B, C, T]."""
        out: Tensor = self.model(x)
        return out


class ConvDecoder(nn.Module):
    """Latents [B, C, T] to features [B, D, T * 2 ** stages]."""

    def __init__(
        self,
        features: int,
        width: int,
        code_width: int,
        stages: int,
        depth: int,
        dilation: int,
        dropout: float,
    ) -> None:
        super().__init__()
        up = [
            nn.Sequential(
                ResidualStack(width, depth, dilation, dropout),
                nn.Upsample(scale_factor=2, mode="nearest"),
                nn.Conv1d(width, width, 3, padding=1),
            )
            for _ in range(stages)
        ]
        self.model = nn.Sequential(
            nn.Conv1d(code_width, width, 3, padding=1),
            nn.ReLU(),
            *up,
            nn.Conv1d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv1d(width, features, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """x: [B, C, T] -> [B, D, F]."""
        out: Tensor = self.model(x)
        return out
