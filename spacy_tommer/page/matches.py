"""Token values of a head, and its matches between ends and starts of spans.

Axis letters: T tokens of a Doc; N units; D width of an input vector; L longest span in
units; K kinds that are wanted.
"""

from collections.abc import Sequence
from typing import Optional

import torch
from spacy.attrs import IS_SPACE
from spacy.language import Language
from spacy.tokens import Doc
from thinc.api import torch2xp, xp2torch
from torch import Tensor

from ..component import Tommer
from ..decoding.units import edge_tokens
from ..head.head import MentionHead
from ..head.model import get_head, read

Value = Optional[float]


def find_matches(nlp: Language, doc: Doc) -> tuple[list[Value], list[list[Value]]]:
    """Compute the token values (equation 2) and the match scores (equation 1) of a text.

    A head has a value of each token for each kind. The one that is returned is for the kind
    whose logits it raises most, or lowers least, among the `kinds` of the component. The
    match is the same for all kinds.

    nlp (Language): A pipeline with a tommer component. ValueError is raised without one.
    doc (Doc): The Doc, which is not changed. Its tokens are used.
    RETURNS (tuple): The value of each token (T,), None for one that no mention can end
        with; and for each token a list of its matches, as the last token, with itself as
        the first, with the token before it, and so on up to the longest span, None where
        no mention can start.
    """
    values: list[Value] = [None] * len(doc)
    matches: list[list[Value]] = [[] for _ in doc]
    tommer = get_tommer(nlp)
    words, spaces = [token.text for token in doc], [bool(t.whitespace_) for t in doc]
    copy = tommer.with_states(Doc(nlp.vocab, words=words, spaces=spaces), nlp)
    units = read(tommer.model, copy)
    if not len(units.dataXd):
        return values, matches
    ops, head = tommer.model.ops, get_head(tommer.model)
    names, labels = tommer.label_names, tommer.labels
    wanted = [kind for kind, name in enumerate(names) if name in labels]
    vectors = xp2torch(ops.xp.asarray(units.dataXd, dtype="float32"))  # (N, D)
    with torch.no_grad():
        match = ops.to_numpy(torch2xp(head.matching(vectors)))  # (N, L)
        value = ops.to_numpy(torch2xp(best_values(head, vectors, wanted)))  # (N,)
    solid = doc.to_array(IS_SPACE) == 0
    first, last = edge_tokens(ops.to_numpy(units.lengths), solid)
    for unit in (last >= 0).nonzero()[0].tolist():
        end = int(last[unit])
        values[end] = float(value[unit])
        for back in range(min(match.shape[1], unit + 1)):
            start = int(first[unit - back])
            if start >= 0:
                row = matches[end]
                row += [None] * (end - start - len(row))
                row.append(float(match[unit, back]))
    return values, matches


def best_values(head: MentionHead, vectors: Tensor, wanted: Sequence[int]) -> Tensor:
    """Compute the value of each unit for the kind to which it adds most.

    head (MentionHead): The head.
    vectors (Tensor): Input vectors of the units. (N, D)
    wanted (Sequence[int]): Numbers of the kinds that count.
    RETURNS (Tensor): The values. (N,)
    """
    values = head.value(vectors[:, : head.width])[:, wanted]  # (N, K)
    weights = head.mixing.view(-1, 5)[wanted, 3]  # (K,), those of the last unit
    best = (values * weights).argmax(dim=1, keepdim=True)  # (N, 1)
    return values.gather(1, best).squeeze(1)


def get_tommer(nlp: Language) -> Tommer:
    """Get the tommer component of a pipeline."""
    if "tommer" not in nlp.pipe_names:
        raise ValueError(
            "The pipeline has no component named tommer, so there are no matches. Load one "
            'that has it: spacy_tommer.load("minilm").'
        )
    return nlp.get_pipe("tommer")
