"""Mentions of texts that arrive in pieces are those of the whole texts."""

import random
from collections import Counter

import pytest
import spacy
from conftest import FAMILIES, TEXTS
from spacy.tokens import Doc

import spacy_tommer
from benchmarks.stream import Folded, chunks, difference, halves
from spacy_tommer.locks import COMPUTING
from spacy_tommer.streaming.separators import BLANKS, find_separators
from spacy_tommer.streaming.surrogates import Joiner
from spacy_tommer.streaming.tokens import Tokens

STRANGE = [
    "\u00a0Ada  Lovelace\n\n- can't <b>New York</b>\t2024-05-12 "
    "\U0001f469\u200d\U0001f467 e\u0301.",
    "Жюль\x1cЖюль \x0b Ελλάδα\u3000日本語の テキスト。\r\n1. p < 5 "
    "<a href='x y' > 'so' \ufeff \u2028",
    "@tara|#Oslo | U.S. a<b ... (Paris) :-) \U00020bb7\U0001d54f मुंबई القاهرة ไทย İß ﬁ <i",
]
LONG = " ".join(TEXTS * 4 + STRANGE)


def push_all(stream, text, rng, longest=40) -> Folded:
    """Push a text in random chunks, and fold the events."""
    folded = Folded()
    for chunk in chunks(halves(text), rng, longest):
        folded.add(stream.push(chunk))
    folded.add(stream.close())
    return folded


@pytest.mark.parametrize("unit", ["token", "piece"])
@pytest.mark.parametrize("family", ["llama", "gpt2", "bert", "roberta"])
def test_events_leave_the_mentions_of_the_whole_text(family, unit, random_nlp):
    nlp = random_nlp(family, unit=unit)
    found = 0
    for seed, text in enumerate([*STRANGE, TEXTS[0], LONG, "", " \n", "\n\nAda"]):
        rng = random.Random(seed)
        stream = spacy_tommer.stream(nlp, stride=rng.choice([None, 1, 5]))
        folded = push_all(stream, text, rng)
        assert difference(folded, nlp(text)) < 1e-4
        found += len(folded.mentions)
    assert found > 40


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - {"llama", "gpt2", "bert"}))
def test_families(family, random_nlp):
    nlp = random_nlp(family, window=16, stride=8)
    folded = push_all(spacy_tommer.stream(nlp), LONG, random.Random(0))
    assert difference(folded, nlp(LONG)) < 1e-4


def test_two_passes_are_read_again(random_nlp):
    nlp = random_nlp("llama", window=16, stride=8, passes=2)
    folded = push_all(spacy_tommer.stream(nlp, stride=3), LONG, random.Random(0))
    assert difference(folded, nlp(LONG)) < 1e-4


@pytest.mark.parametrize("family", ["gpt2", "bert"])
def test_a_tail_does_not_begin_inside_a_date_or_a_tag(family, random_nlp):
    """Windows begin at all places of dates and tags, and at several of a long tag."""
    settings = {"threshold": 0.3, "flat_threshold": None}
    dates = "Ada met Bob on 2024-05-12 and Eve 2023-11-30 at 2022-01-02 they left for town "
    tags = "Ada met <a href='x y z' title='u v w' class='k l m'> Bob and Eve </a> in town "
    for window, stride, repeated in ((8, 8, dates * 2), (8, 4, dates + tags * 2)):
        nlp = random_nlp(family, window=window, stride=stride, **settings)
        for shift in range(0, 8, 1 if family == "gpt2" else 4):
            text = "word " * shift + repeated
            folded = push_all(spacy_tommer.stream(nlp), text, random.Random(0), 1)
            assert difference(folded, nlp(text)) < 1e-4


def test_one_push_and_one_character_at_a_time_end_alike(random_nlp):
    nlp = random_nlp("llama")
    for longest in (1, len(LONG)):
        stream, folded = spacy_tommer.stream(nlp), Folded()
        for start in range(0, len(LONG), longest):
            folded.add(stream.push(LONG[start : start + longest]))
        folded.add(stream.close())
        assert difference(folded, nlp(LONG)) < 1e-4


def test_a_mention_is_seen_when_its_word_ends_and_final_when_none_can_overlap(
    random_nlp,
):
    nlp = random_nlp("gpt2", threshold=0.0, flat_threshold=None)
    stream = spacy_tommer.stream(nlp)
    assert stream.push("Ada Love") and stream.push("lace") == []
    (event,) = [e for e in stream.push(" met") if e.text == "Lovelace"]
    assert (event.what, event.start, event.end, event.final) == ("added", 4, 12, False)
    # The score needs the state of the word behind, which is complete now.
    events = {e.text: e for e in stream.push(" ")}
    assert events["Lovelace"].final and events["Ada Lovelace"].final
    assert not events["met"].final

    nlp.get_pipe("tommer").flat_threshold = 0.0
    stream = spacy_tommer.stream(nlp)
    events = [
        e
        for word in ["a", "b", "c", "d", "e", "f", "g", "h"]
        for e in stream.push(f"{word} ")
    ]
    # Spans have up to five words, so one that begins with `a` can come four words later.
    final = [e for e in events if e.final]
    assert not final
    # No mention crosses a blank line.
    assert any(e.text == "a" and e.final for e in stream.push("\n\nnext one "))


def test_scores_are_reported_when_they_move(random_nlp):
    nlp = random_nlp("bert")
    stream = spacy_tommer.stream(nlp, stride=1)
    last = {}
    for word in (TEXTS[0] * 2).split():
        for event in stream.push(f"{word} "):
            place = event.start, event.end
            if event.what == "changed":
                before = last[place]
                assert event != before
                moved = abs(event.score - before.score) >= 0.01
                same = (event.label, event.flat) == (before.label, before.flat)
                assert moved or event.final or not same
            last[place] = event


class Passes:
    """Count the passes of a backbone and the wordpieces in them."""

    def __init__(self, nlp):
        self.shapes = []
        network = nlp.get_pipe("transformer").model.shims[0].get_cut().network
        network.register_forward_pre_hook(self.see, with_kwargs=True)

    def see(self, network, args, settings):
        self.shapes.append(tuple(settings["input_ids"].shape))


def test_a_causal_backbone_reads_each_wordpiece_once(random_nlp):
    nlp = random_nlp("gpt2", window=128, stride=96)
    passes = Passes(nlp)
    nlp(TEXTS[0])
    ((_, whole),) = passes.shapes
    passes.shapes.clear()
    stream = spacy_tommer.stream(nlp)
    for char in TEXTS[0]:
        stream.push(char)
    stream.close()
    assert sum(rows * pieces for rows, pieces in passes.shapes) == whole
    assert len(passes.shapes) == len(TEXTS[0].split())


def test_an_encoder_reads_its_window_once_a_stride(random_nlp):
    nlp = random_nlp("bert", window=128, stride=96)
    text = " ".join(TEXTS)
    tokens = len(nlp.make_doc(text))
    passes = Passes(nlp)
    for stride, most in ((1, tokens + 1), (8, tokens // 8 + 1), (None, tokens // 16 + 1)):
        passes.shapes.clear()
        push_all(spacy_tommer.stream(nlp, stride=stride), text, random.Random(1), 3)
        assert most // 3 < len(passes.shapes) <= most


def test_an_endless_stream_keeps_a_tail(random_nlp):
    for family in ("llama", "bert"):
        nlp = random_nlp(family)
        stream = spacy_tommer.stream(nlp, stride=6)
        session = stream.streams.texts[0].session
        sizes = []
        for i in range(60):
            stream.push(f"{TEXTS[i % 3]}\n\n")
            sizes.append((len(session.words), len(stream.streams.texts[0].rows)))
            assert len(session.reported) < 200 and not session.final
        assert session.first_token > 700
        words, rows = zip(*sizes)
        assert max(words) < 80 and max(rows) < 8
        assert max(words[30:]) <= max(words[:30])


def test_streams_share_passes_and_are_as_if_alone(random_nlp):
    for family in ("llama", "roberta"):
        nlp = random_nlp(family)
        texts = {"a": LONG, "b": STRANGE[0], 3: " ".join(TEXTS), "empty": ""}
        parts = {
            key: list(chunks(halves(text), random.Random(1), 30))
            for key, text in texts.items()
        }
        alone = {}
        for key, own in parts.items():
            stream = spacy_tommer.stream(nlp, stride=4)
            alone[key] = [stream.push(chunk) for chunk in own] + [stream.close()]
        streams = spacy_tommer.streams(nlp, limit=4, stride=4)
        for key in texts:
            streams.open(key)
        passes = Passes(nlp)
        folded = {key: Folded() for key in texts}
        together = {key: [] for key in texts}
        while any(parts.values()):
            passes.shapes.clear()
            given = {key: own.pop(0) for key, own in parts.items() if own}
            for key, events in streams.push(given).items():
                together[key].append(events)
            assert len(passes.shapes) <= 1
        for key, events in streams.close(*texts).items():
            together[key].append(events)
        assert not streams.texts
        for key, text in texts.items():
            for events in together[key]:
                folded[key].add(events)
            assert difference(folded[key], nlp(text)) < 1e-4
            assert list(map(kinds, together[key])) == list(map(kinds, alone[key]))


def kinds(events):
    """Leave out scores, which a batch rounds otherwise."""
    return Counter((e.what, e.start, e.end, e.label, e.flat, e.final) for e in events)


def test_limits_and_wrong_calls(random_nlp):
    nlp = random_nlp()
    streams = spacy_tommer.streams(nlp, limit=2)
    streams.open("a")
    streams.open("b")
    with pytest.raises(ValueError, match="2 streams are open, and no more are allowed"):
        streams.open("c")
    streams.discard("a")
    streams.open("c")
    with pytest.raises(ValueError, match="'c' is open already"):
        streams.open("c")
    with pytest.raises(ValueError, match="'a' is not open"):
        streams.push({"a": "x"})
    with pytest.raises(ValueError, match=r"a string, and not b'x'. Decode bytes"):
        streams.push({"b": b"x"})
    with pytest.raises(ValueError, match="1 or more"):
        spacy_tommer.streams(nlp, limit=0)
    with pytest.raises(ValueError, match="1 or more"):
        spacy_tommer.stream(nlp, stride=0)
    stream = spacy_tommer.stream(nlp)
    stream.close()
    with pytest.raises(ValueError, match="is not open"):
        stream.push("more")


def test_pipelines_that_cannot_be_streamed(random_nlp):
    with pytest.raises(ValueError, match="has no component that finds mentions"):
        spacy_tommer.stream(spacy.blank("en"))
    with pytest.raises(ValueError, match="is a pipeline of spaCy"):
        spacy_tommer.stream("minilm")
    nlp = random_nlp()
    nlp.add_pipe("entity_ruler", first=True)
    with pytest.raises(ValueError, match="'entity_ruler' writes entities"):
        spacy_tommer.stream(nlp)
    nlp.disable_pipe("entity_ruler")
    spacy_tommer.stream(nlp)
    nlp.disable_pipe("transformer")
    with pytest.raises(ValueError, match="no transformer before tommer"):
        spacy_tommer.stream(nlp)
    nlp = random_nlp()
    nlp.tokenizer = lambda text: Doc(nlp.vocab, words=list(text))
    with pytest.raises(ValueError, match="needs spaCy's own tokenizer"):
        spacy_tommer.stream(nlp)
    nlp = random_nlp()
    nlp.get_pipe("tommer").model.attrs["attention"] = "scores"
    with pytest.raises(ValueError, match="matches by attention"):
        spacy_tommer.stream(nlp)


def test_a_head_that_reads_the_last_block_of_its_own(random_nlp):
    """`layer = null` of the head is the last block that the backbone writes."""
    nlp = random_nlp("llama")
    assert nlp.get_pipe("tommer").model.attrs["layer"] is None
    assert spacy_tommer.stream(nlp).streams.states.spec.layers == (1,)


def test_halves_of_characters():
    joiner = Joiner()
    assert joiner.join("a\ud83d") == "a"
    assert joiner.join("") == ""
    assert joiner.join("\ude00b") == "\U0001f600b"
    assert joiner.join("\ude00\ud83dx") == "\ufffd\ufffdx"
    assert joiner.join("\ud83d") == ""
    assert joiner.join("", last=True) == "\ufffd"


def test_a_half_that_stays_alone_counts_one_character(random_nlp):
    nlp = random_nlp("gpt2", threshold=0.0)
    stream, folded = spacy_tommer.stream(nlp), Folded()
    for chunk in ("Ada \ud83d", "x Lovelace \ude00", " in\ud83d"):
        folded.add(stream.push(chunk))
    folded.add(stream.close())
    assert difference(folded, nlp("Ada \ufffdx Lovelace \ufffd in\ufffd")) < 1e-4


def test_a_tokenizer_that_joins_words_is_refused():
    with pytest.raises(ValueError, match=r"that of 'es' makes one token of"):
        Tokens(spacy.blank("es"), BLANKS)


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_tokens_of_pieces(lang):
    nlp = spacy.blank(lang)
    rng = random.Random(0)
    parts = ["can't", "вед. науч. сотр.", "EE. UU.", "(a)", "x\n", "\x1c", "é,", "Dr. med"]
    for _ in range(60):
        blanks = rng.choices([" ", "\n", "  ", "\t ", "\u00a0", ""], k=9)
        text = "".join(b + rng.choice(parts) for b in blanks) + rng.choice(blanks)
        tokens = Tokens(nlp, BLANKS - {"\x1c"})
        words = []
        for chunk in chunks(list(text), rng, 9):
            words += tokens.push(chunk)
        words += tokens.push("", last=True)
        expected = [(token.text, bool(token.whitespace_)) for token in nlp(text)]
        assert words == expected, text


def test_words_are_held_back_until_they_end():
    nlp = spacy.blank("en")
    tokens = Tokens(nlp, BLANKS - {"\x1c"})
    assert tokens.push("can'") == []
    assert tokens.push("t\x1cx") == []  # no white space for the language model
    assert tokens.push(" \n") == [
        ("ca", False),
        ("n't", False),
        ("\x1c", False),
        ("x", True),
    ]
    assert tokens.push("\n") == []
    assert tokens.push("y") == [("\n\n", False)]
    nlp.max_length = 10
    assert tokens.push("z" * 12) == [("y" + "z" * 12, False)]


def test_separators(tiny):
    from spacy_tommer.backbone.model import Backbone, cut_model

    found = {
        family: find_separators(cut_model(Backbone(tiny(family), [1])).tokenizer)
        for family in ("gpt2", "bert", "mistral")
    }
    assert all({" "} <= own for own in found.values())
    assert {"\n", "\u00a0", "\u3000"} <= found["gpt2"] and "\x1c" not in found["gpt2"]
    assert "\n" in found["bert"] and "\x0b" not in found["bert"]  # removed
    assert "\n" not in found["mistral"]


def test_a_stream_waits_for_no_lock_and_keeps_none(random_nlp):
    spacy_tommer.stream(random_nlp()).push("Ada ")
    assert COMPUTING.acquire(blocking=False)
    COMPUTING.release()


def test_spans_inside_tokens_are_told_once(random_nlp):
    nlp = random_nlp("bert", unit="piece", threshold=0.0)
    stream = spacy_tommer.stream(nlp)
    with pytest.warns(UserWarning, match="start or end inside a token") as told:
        stream.push("Angela Merkel met Barack Obama in New York City. ")
        stream.push("Angela Merkel met John in Hawaii.")
        stream.close()
    assert len(told) == 1
