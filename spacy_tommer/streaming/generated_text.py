"""One text that a language model generates: its ids, their text, and their states."""

from collections.abc import Iterable
from typing import Optional

from spacy.tokens import Doc
from spacy.vocab import Vocab
from thinc.api import Ops
from transformers import PreTrainedTokenizerBase

from ..backbone.spec import BackboneSpec
from .detokenizer import Detokenizer
from .frontier import before_patterns, count_solid
from .growing_pieces import Floats, GrowingPieces, Ints
from .session import Session
from .tokens import Word


class GeneratedText:
    """Hold one text.

    session (Session): What was reported of it.
    tokenizer (PreTrainedTokenizerBase): The tokenizer of the model.
    keep (bool): Whether all tokens and states are kept.
    """

    def __init__(
        self, session: Session, tokenizer: PreTrainedTokenizerBase, keep: bool = False
    ) -> None:
        self.session = session
        self.detokenizer = Detokenizer(tokenizer)
        self.pieces = GrowingPieces()
        self.length = 0  # in characters
        self.incomplete = 0  # wordpieces at the end of an incomplete character
        self.lacking = False  # whether complete tokens lacked a state in the last step
        self.complete = False  # whether its end has been read
        self.whole: Optional[GrowingPieces] = GrowingPieces() if keep else None
        self.words: list[Word] = []

    def add_ids(self, ids: Iterable[int]) -> None:
        """Add wordpieces. Their states follow."""
        for id_ in ids:
            self.write(self.detokenizer.push(id_), 1)

    def write(self, text: str, count: int, last: bool = False) -> None:
        """Add text.

        text (str): The text; empty for a special token, or inside a character.
        count (int): How many wordpieces it has.
        last (bool): Whether the text ends here.
        """
        start, end = self.length, self.length + len(text)
        for pieces in filter(None, (self.pieces, self.whole)):
            if text and self.incomplete:
                pieces.starts[-self.incomplete :] = [start] * self.incomplete
                pieces.ends[-self.incomplete :] = [end] * self.incomplete
            pieces.starts += [start] * count
            pieces.ends += [end] * count
        waits = not text and self.detokenizer.incomplete
        self.incomplete = self.incomplete + count if waits else 0
        self.length = end
        self.session.write(text, last)

    def add_states(self, states: Floats) -> None:
        """Add the states of the oldest wordpieces that have none. (n, d)"""
        for pieces in filter(None, (self.pieces, self.whole)):
            pieces.states += list(states)

    def close(self) -> None:
        """End the text. Its last wordpiece may have no state."""
        self.write(self.detokenizer.close(), 0, last=True)

    @property
    def waiting(self) -> int:
        """How many wordpieces have no state yet."""
        return len(self.pieces.starts) - len(self.pieces.states)

    @property
    def is_due(self) -> bool:
        """Whether there is something new to read."""
        new = self.session.unread or self.session.ended or self.lacking
        return bool(new) and not self.complete

    def make_doc(self, vocab: Vocab, spec: BackboneSpec, ops: Ops) -> tuple[Doc, int]:
        """Make a Doc of the complete tokens of the tail.

        vocab (Vocab): The vocabulary of the pipeline.
        spec (BackboneSpec): What the states are of.
        ops (Ops): The backend of the states.
        RETURNS (tuple[Doc, int]): The Doc, with states, and how many tokens at its start
            have states that do not change.
        """
        if self.whole is not None and self.session.unread:
            self.words += self.session.words[-self.session.unread :]
        doc = self.session.make_doc(vocab)
        self.lacking = self.pieces.annotate(doc, self.session.first_char, spec, ops)
        return doc, count_solid(doc, len(doc))

    def drop(self, doc: Doc, lengths: Ints) -> None:
        """Drop what is not needed any more.

        doc (Doc): The complete tokens of the tail.
        lengths (Ints): How many units each has.
        """
        self.complete = self.session.ended
        units = lengths[: self.session.needed].nonzero()[0]
        if len(units):
            self.session.drop(doc, before_patterns(doc, self.session.text, int(units[-1])))
            self.pieces.drop(self.session.first_char)

    def whole_doc(self, vocab: Vocab, spec: BackboneSpec, ops: Ops) -> Doc:
        """Make a Doc of all tokens, with states. ValueError is raised if they were not
        kept."""
        if self.whole is None:
            raise ValueError(
                "The states of the text were not kept. Write "
                "spacy_tommer.MentionStreamer(..., keep_states=True)."
            )
        words, spaces = zip(*self.words) if self.words else ((), ())
        doc = Doc(vocab, words=words, spaces=spaces)
        self.whole.annotate(doc, 0, spec, ops)
        return doc
