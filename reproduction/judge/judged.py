"""Write Docs with the spans that a judge accepted."""

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from spacy.tokens import Doc, Span

from spacy_tommer.files import ShardWriter, whole_folder

from .candidates import Candidate, Docs
from .measures import Verdicts

# The span groups of the verdicts.
GROUPS = {"yes": "judged", "no": "rejected", "unclear": "unclear"}


def write_judged(
    folder: Path, docs: Docs, sample: Iterable[Candidate], verdicts: Verdicts
) -> None:
    """Write the Docs with the verdicts about their spans, a folder of DocBins for each
    set: accepted spans in doc.spans["judged"], others in "rejected" and "unclear".

    folder (Path): The folder, in place of the one that is there.
    docs (Docs): The gold Docs of each set; their own spans are kept.
    sample (Iterable[Candidate]): The spans of the sample.
    """
    places: dict[tuple[str, int], list[tuple[int, int, str]]] = {}
    for one in sample:
        name, number, start, end = one.key
        verdict = verdicts[one.key]
        if verdict is not None:
            found = places.setdefault((name, number), [])
            found.append((start, end, GROUPS[verdict]))
    with whole_folder(folder) as aside:
        for name, part in docs.items():
            with ShardWriter(aside / name) as shards:
                for number, doc in enumerate(part):
                    found = sorted(places.get((name, number), []))
                    shards.add(judged_doc(doc, found))


def judged_doc(doc: Doc, places: Iterable[tuple[int, int, str]]) -> Doc:
    """Make a Doc with the spans of each verdict.

    doc (Doc): The gold Doc.
    places (Iterable[tuple[int, int, str]]): Start and end (exclusive) of each span in
        characters, and its span group.
    RETURNS (Doc): A Doc of the same text. Tokens are split where a span begins or ends
        inside one, as a pipeline's tokens may differ from the gold ones.
    """
    places = list(places)
    made = split_tokens(doc, {edge for place in places for edge in place[:2]})
    groups = [(key, list(group)) for key, group in doc.spans.items()]
    for key, spans in groups:
        made.spans[key] = [copied(made, span) for span in spans]
    for key in GROUPS.values():
        made.spans[key] = [
            made.char_span(start, end, label="MENTION")
            for start, end, group in places
            if group == key
        ]
    return made


def split_tokens(doc: Doc, edges: set[int]) -> Doc:
    """Copy the tokens of a Doc, split at characters.

    edges (set[int]): The characters.
    RETURNS (Doc): The new Doc, with the words and the entities of the other.
    """
    words: list[str] = []
    spaces: list[bool] = []
    for token in doc:
        end = token.idx + len(token)
        cuts = [token.idx, *(i for i in range(token.idx + 1, end) if i in edges), end]
        words += [doc.text[start:stop] for start, stop in pairwise(cuts)]
        spaces += [False] * (len(cuts) - 2) + [bool(token.whitespace_)]
    made = Doc(doc.vocab, words=words, spaces=spaces)
    if doc.has_annotation("ENT_IOB"):
        made.set_ents([copied(made, span) for span in doc.ents])
    return made


def copied(doc: Doc, span: Span) -> Span:
    """Copy a span to another Doc of the same text."""
    return doc.char_span(span.start_char, span.end_char, label=span.label_)
