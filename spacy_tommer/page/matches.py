"""Token values of a head, and its matches between ends and starts of spans.

Axis letters: T tokens of a Doc; N units; D width of an input vector; L longest span in
units.
"""

from typing import Optional

import torch
from spacy.attrs import IS_SPACE
from spacy.language import Language
from spacy.tokens import Doc
from thinc.api import torch2xp, xp2torch

from ..component import Tommer
from ..decoding.units import edge_tokens
from ..head.model import get_head, read

Value = Optional[float]


def find_matches(nlp: Language, doc: Doc) -> tuple[list[Value], list[list[Value]]]:
    """Compute the token values and the match scores of a text (equation 1).

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
    vectors = xp2torch(ops.xp.asarray(units.dataXd, dtype="float32"))  # (N, D)
    with torch.no_grad():
        match = ops.to_numpy(torch2xp(head.matching(vectors)))  # (N, L)
        value = ops.to_numpy(torch2xp(head.value(vectors[:, : head.width])))[:, 0]  # (N,)
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


def get_tommer(nlp: Language) -> Tommer:
    """Get the tommer component of a pipeline."""
    if "tommer" not in nlp.pipe_names:
        raise ValueError(
            "The pipeline has no component named tommer, so there are no matches. Load one "
            'that has it: spacy_tommer.load("minilm").'
        )
    return nlp.get_pipe("tommer")
