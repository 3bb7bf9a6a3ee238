"""Put rows of wordpieces together to batches.

Axis letters: B rows of a batch; T wordpieces of a row, padded.
"""

from collections.abc import Iterator, Sequence
from typing import Union

import numpy as np
from numpy.typing import NDArray

from .encoding import Ints


def batch_rows(lengths: Union[Ints, Sequence[int]], max_pieces: int) -> Iterator[Ints]:
    """Sort rows by length and split them into batches.

    lengths (Union[Ints, Sequence[int]]): The wordpieces of each row.
    max_pieces (int): Most wordpieces in a batch, padding included. A longer row makes a
        batch of its own.
    YIELDS (Ints): Indices of the rows of a batch, the longest row last.
    """
    batch: list[int] = []
    for row in np.argsort(lengths, kind="stable").tolist():
        if batch and (len(batch) + 1) * lengths[row] > max_pieces:
            yield np.array(batch)
            batch = []
        batch.append(row)
    if batch:
        yield np.array(batch)


def pad_rows(ids: Ints, lengths: Ints, pad: int) -> tuple[Ints, NDArray[np.bool_]]:
    """Pad rows to the length of the longest.

    ids (Ints): The wordpieces of all rows, concatenated.
    lengths (Ints): How many each row has. (B,)
    pad (int): Id that pads shorter rows, on the right.
    RETURNS (tuple): The ids (B, T), and which of them are no padding (B, T).
    """
    mask = np.arange(lengths.max()) < lengths[:, None]
    padded = np.full(mask.shape, pad, dtype="int64")
    padded[mask] = ids
    return padded, mask
