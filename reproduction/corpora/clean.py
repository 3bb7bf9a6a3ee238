"""Drop texts and mentions that are of no use in training."""

from collections.abc import Iterable, Iterator

from spacy.language import Language
from spacy.tokens import Doc

from .gold import mention_labels, set_gold
from .report import Report
from .seen import SeenTexts


def clean(
    docs: Iterable[Doc], nlp: Language, max_length: int, seen: SeenTexts, report: Report
) -> Iterator[Doc]:
    """Drop texts that are empty or occurred before, and mentions that are too long.

    docs (Iterable[Doc]): Docs with gold mentions.
    nlp (Language): The pipeline in whose tokens mentions are measured.
    max_length (int): How many tokens a mention may have.
    seen (SeenTexts): The texts that occurred.
    report (Report): Where the dropped ones are counted, as well as mentions that are kept
        though they begin or end inside one of the pipeline's tokens.
    YIELDS (Doc): A Doc that is kept.
    """
    for doc in docs:
        report.count("texts read")
        if not doc.text.strip():
            report.count("text dropped that is empty")
            continue
        if not seen.add(doc.text):
            report.count("text dropped that occurred before")
            continue
        tokens = nlp.make_doc(doc.text)
        kept = []
        for span in doc.spans["entities"]:
            found = tokens.char_span(
                span.start_char, span.end_char, alignment_mode="expand"
            )
            if len(found) > max_length:
                report.count(f"mention dropped that is longer than {max_length} tokens")
                continue
            kept.append((span.start, span.end, span.label_))
            fits = found.start_char == span.start_char and found.end_char == span.end_char
            report.count("mention kept that spaCy's tokens do not fit", not fits)
        if len(kept) < len(doc.spans["entities"]):
            set_gold(doc, kept, mention_labels(doc))
        yield doc
