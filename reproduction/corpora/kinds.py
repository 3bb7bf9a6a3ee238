"""The kinds of mentions that each corpus and benchmark marks, and the kind of each of its
types."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from spacy.tokens import Doc, Span, SpanGroup

from spacy_tommer.keys import MENTION, MENTIONS, NAME, PHRASE, QUANTITY, TERM

from .sets import TREEBANKS


@dataclass(frozen=True)
class Marks:
    """Tell what a corpus marks.

    kinds (tuple[str, ...]): The kinds of its mentions.
    whole (tuple[str, ...]): Those of which it marks every mention, so that other spans are
        none: a head learns these kinds from it. The other corpora mark names of a few types
        or of a field, and are learnt from as sources.
    types (Mapping[str, str]): The kind of a type. A mention of another type has the kind of
        `kinds`, if that is one, and otherwise the label MENTION: one of them.
    by_case (bool): Whether mentions whose last word begins with a capital are names, unless
        it is all in capitals, as in a heading.
    """

    kinds: tuple[str, ...]
    whole: tuple[str, ...] = ()
    types: Mapping[str, str] = field(default_factory=dict)
    by_case: bool = False

    def kind(self, span: Span) -> str:
        """Tell the kind of a typed mention.

        RETURNS (str): A kind, or MENTION if the corpus does not tell.
        """
        last = span[-1].text
        if self.by_case and last[0].isupper() and not last.isupper():
            return NAME
        default = self.kinds[0] if len(self.kinds) == 1 else MENTION
        return self.types.get(span.label_, default)


NAMES = Marks((NAME,))
# Corpora of a field of science or work do not tell its terms from names.
FIELD = (NAME, TERM)
EVERY = (NAME, TERM, QUANTITY)
REDOCRED = {
    **dict.fromkeys(("PER", "ORG", "LOC", "MISC"), NAME),
    **dict.fromkeys(("TIME", "NUM"), QUANTITY),
}
SOFTWARE = {"Version": QUANTITY, "Value": QUANTITY, "File_Name": QUANTITY}
CYNER = {"Indicator": QUANTITY, "Organization": NAME, "Malware": NAME}
MARKS: dict[str, Marks] = {
    "gum": Marks((PHRASE,), (PHRASE,), {NAME: NAME}),
    "litbank": Marks((PHRASE,), (PHRASE,), by_case=True),
    "redocred": Marks((NAME, QUANTITY), types=REDOCRED),
    "wikigold": NAMES,
    "bionlp13cg": Marks(FIELD),
    "craft": Marks(FIELD),
    "cyner": Marks(FIELD, types=CYNER),
    "wnut17": NAMES,
    "btc": NAMES,
    "stackoverflow": Marks(FIELD, types=SOFTWARE),
    "openmentions": Marks(EVERY, EVERY, {kind: kind for kind in EVERY}),
    **{f"uner_{code}": NAMES for code in TREEBANKS},
}
# Corpora that were annotated by one guide are one source.
SOURCES = {f"uner_{code}": "uner" for code in TREEBANKS}
# Types that are not here have both names and terms: misc, product (MATLAB, industrial
# robot), protein and enzyme (p53, histone) of CrossNER; protein, DNA and cell_line of
# GENIA; MISC of WikiNEuRal.
CROSSNER = {
    **dict.fromkeys(("person", "politician", "researcher", "scientist", "writer"), NAME),
    **dict.fromkeys(("musicalartist", "band", "politicalparty", "organisation"), NAME),
    **dict.fromkeys(("university", "country", "location", "astronomicalobject"), NAME),
    **dict.fromkeys(("event", "election", "conference", "award", "programlang"), NAME),
    **dict.fromkeys(("book", "poem", "magazine", "academicjournal"), NAME),
    **dict.fromkeys(("album", "song"), NAME),
    **dict.fromkeys(("algorithm", "field", "metrics", "task"), TERM),
    **dict.fromkeys(("discipline", "theory", "literarygenre", "musicgenre"), TERM),
    **dict.fromkeys(("chemicalcompound", "chemicalelement", "musicalinstrument"), TERM),
}
GENIA = dict.fromkeys(("cell_type", "RNA"), TERM)
WIKINEURAL = dict.fromkeys(("PER", "ORG", "LOC"), NAME)
# None is whole: each marks some names and terms.
BENCHMARK_MARKS: dict[str, Marks] = {
    "politics": Marks(FIELD, types=CROSSNER),
    "ai": Marks(FIELD, types=CROSSNER),
    "literature": Marks(FIELD, types=CROSSNER),
    "science": Marks(FIELD, types=CROSSNER),
    "music": Marks(FIELD, types=CROSSNER),
    "conll2003": Marks(FIELD, types=CROSSNER),
    "ncbi_disease": Marks((TERM,)),
    "genia": Marks(FIELD, types=GENIA),
    "wikineural": Marks(FIELD, types=WIKINEURAL),
}


def set_kinds(doc: Doc, marks: Marks, source: str = "") -> Doc:
    """Label the gold mentions of a Doc with their kinds.

    doc (Doc): A Doc with gold mentions.
    marks (Marks): What its corpus marks.
    source (str): Name of the corpus.
    RETURNS (Doc): The same Doc. doc.spans["mentions"] has kinds as labels, MENTION where a
        mention is of one of several; the kinds that are marked as a whole in
        `attrs["kinds"]`; and in `attrs["source"]` the name of the corpus, or of all that
        share its guide.
    """
    mentions = [
        Span(doc, span.start, span.end, label=marks.kind(span))
        for span in doc.spans[MENTIONS]
    ]
    attrs = {"kinds": list(marks.whole), "source": SOURCES.get(source, source)}
    doc.spans[MENTIONS] = SpanGroup(doc, name=MENTIONS, spans=mentions, attrs=attrs)
    if doc.has_annotation("ENT_IOB"):
        doc.set_ents(mentions)
    return doc
