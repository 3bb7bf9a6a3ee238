"""The head that compares mentions with definitions of types.

Axis letters: M mentions; C types; d width of a state; p width that both are projected to.
"""

from torch import Tensor, nn


class TypeHead(nn.Module):
    """Score mentions against definitions and against none (Just Pass Twice, arXiv
    2604.05158): two projections and their product.

    width (int): Width of a state, d.
    rank (int): Width of the projections, p.
    hidden (int): Hidden units of each projection.
    """

    def __init__(self, width: int, rank: int = 256, hidden: int = 512) -> None:
        super().__init__()
        self.width = width
        self.rank = rank
        self.hidden = hidden
        self.mention = projection(3 * width, hidden, rank)
        self.definition = projection(width, hidden, rank)
        self.none = nn.Linear(rank, 1)

    def forward(self, vectors: Tensor, definitions: Tensor) -> Tensor:
        """Score every mention against every type.

        vectors (Tensor): Of each mention the states of its first and its last unit, and
            the mean of all. (M, 3d)
        definitions (Tensor): The vector of each type. (C, d)
        RETURNS (Tensor): Logits of each type against none. (M, C)
        """
        mention = self.mention(vectors)  # (M, p)
        scores = mention @ self.definition(definitions).T  # (M, C)
        return scores / self.rank**0.5 - self.none(mention)


def projection(width: int, hidden: int, rank: int) -> nn.Sequential:
    """Make a projection with one hidden layer."""
    return nn.Sequential(
        nn.LayerNorm(width),
        nn.Dropout(0.2),
        nn.Linear(width, hidden),
        nn.GELU(),
        nn.Dropout(0.2),
        nn.Linear(hidden, rank),
    )
