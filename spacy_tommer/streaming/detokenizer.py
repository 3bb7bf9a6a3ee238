"""The text of ids that arrive one after the other."""

from transformers import PreTrainedTokenizerBase

INCOMPLETE = "\ufffd"


class Detokenizer:
    """Decode ids as they arrive. Special tokens have no text.

    tokenizer (PreTrainedTokenizerBase): The tokenizer of the model that made the ids.
    incomplete (bool): Whether the last id ends inside a character.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        self.special = find_special(tokenizer)
        self.ids: list[int] = []
        # Ids before it are context for those behind it: some tokenizers join wordpieces
        # without a space only where others precede them.
        self.known = 0
        self.incomplete = False

    def push(self, id_: int) -> str:
        """Return the text that an id adds; nothing while a character is incomplete."""
        if id_ in self.special:
            return ""
        self.ids.append(id_)
        before, text = self.decode(self.ids[: self.known]), self.decode(self.ids)
        self.incomplete = text.endswith(INCOMPLETE)
        if self.incomplete or len(text) <= len(before):
            return ""
        self.ids = self.ids[self.known :]
        self.known = len(self.ids)
        return text[len(before) :]

    def close(self) -> str:
        """Return the text of what stayed incomplete: U+FFFD."""
        return self.decode(self.ids)[len(self.decode(self.ids[: self.known])) :]

    def decode(self, ids: list[int]) -> str:
        """Decode ids without changing spaces."""
        return self.tokenizer.decode(
            ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )


def find_special(tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Find the ids that `decode` skips: they would be decoded again with every one behind
    them."""
    if not tokenizer.is_fast:
        return frozenset(tokenizer.all_special_ids)
    added = tokenizer.added_tokens_decoder
    return frozenset(id_ for id_, token in added.items() if token.special)
