"""The head that compares mentions with definitions of types.

Axis letters: M mentions; C types; F definitions; d width of a state.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

# Lower bound of the scale of a dimension, as a share of the mean scale.
LEAST_SCALE = 0.1


class TypeHead(nn.Module):
    """Score mentions against definitions and against none, by projecting mentions to the
    space of the definitions (Just Pass Twice, arXiv 2604.05158).

    Definitions are standardised and scaled to unit length, but not projected: a learned
    projection would memorise the types of the training texts and fail on new types.

    width (int): Width of a state, d.
    hidden (int): Hidden units of the projection.
    """

    centre: Tensor
    scale: Tensor

    def __init__(self, width: int, hidden: int = 512) -> None:
        super().__init__()
        self.width = width
        self.hidden = hidden
        self.mention = nn.Sequential(
            nn.LayerNorm(3 * width),
            nn.Dropout(0.2),
            nn.Linear(3 * width, hidden),
            nn.GELU(),
            nn.Dropout(0.2),
            nn.Linear(hidden, width),
        )
        self.none = nn.Linear(width, 1)
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))

    def standardise(self, definitions: Tensor) -> None:
        """Set centre and scale to those of the given vectors.

        definitions (Tensor): The vectors of all texts of the training types. (F, d)
        """
        scale = definitions.std(dim=0, correction=0)  # (d,)
        self.centre = definitions.mean(dim=0)  # (d,)
        self.scale = scale.clamp(min=max(LEAST_SCALE * float(scale.mean()), 1e-6))

    def forward(self, vectors: Tensor, definitions: Tensor) -> Tensor:
        """Score every mention against every type.

        vectors (Tensor): For each mention the states of its first and last unit, and the
            mean of all its states. (M, 3d)
        definitions (Tensor): The vector of each type. (C, d)
        RETURNS (Tensor): Logits of each type against none. (M, C)
        """
        mention = self.mention(vectors)  # (M, d)
        types = normalize((definitions - self.centre) / self.scale, dim=1)  # (C, d)
        return mention @ types.T - self.none(mention)
