"""Lengths in wordpieces, and the script that draws them."""

import json

import pytest
import spacy
from run_verb import error_of, run_verb
from tokenizers import Tokenizer, models, pre_tokenizers

from reproduction.corpora.gold import gold_doc
from reproduction.corpora.lengths import count_lengths, describe_lengths
from spacy_tommer.files import ShardWriter


@pytest.fixture
def docs():
    """Give two Docs: of wordpieces, "New" and "York" have 3 and 4 letters."""
    vocab = spacy.blank("en").vocab
    words = ["In", "New", "York", "now"]
    entities = [(1, 3, "GPE"), (2, 3, "GPE"), (1, 3, "LOC")]
    return [gold_doc(vocab, words, entities), gold_doc(vocab, ["none"], [])]


def test_count_lengths(docs):
    # Each letter is a wordpiece.
    letters = {letter: i for i, letter in enumerate("InNewYorko ")}
    tokenizer = Tokenizer(models.BPE(letters, [], unk_token=" "))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    texts, mentions = count_lengths(docs, tokenizer)
    assert texts == {12: 1, 4: 1}
    assert mentions == {7: 1, 4: 1}
    described = describe_lengths(mentions, 5)
    assert described == {
        "count": 2,
        "mean": 5.5,
        "median": 4,
        "max": 7,
        "share_up_to_5": 0.5,
        "counts": {4: 1, 7: 1},
    }
    assert describe_lengths(count_lengths([], tokenizer)[1], 5) == {"count": 0}


def test_the_command(docs, tiny, tmp_path):
    pytest.importorskip("matplotlib")
    with ShardWriter(tmp_path / "corpus" / "set") as shards:
        for doc in docs:
            shards.add(doc)
    output = tmp_path / "out"
    options = ("--output", output, "--tokenizer", tiny("bert"))
    printed = run_verb("lengths", tmp_path / "corpus", *options).output
    assert "texts: count 2" in printed
    found = json.loads((output / "lengths.json").read_text("utf-8"))
    assert found["texts"]["count"] == found["mentions"]["count"] == 2
    assert found["mentions"]["share_up_to_25"] == 1
    for name in ("text_length.png", "mention_length.png"):
        assert (output / name).read_bytes().startswith(b"\x89PNG")
    (tmp_path / "empty").mkdir()
    with pytest.warns(UserWarning, match="W090"):
        assert "no texts" in error_of("lengths", tmp_path / "empty", *options)
