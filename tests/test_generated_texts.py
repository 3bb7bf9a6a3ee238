"""Texts whose wordpieces and states are fed by an engine."""

import pytest
import torch
from conftest import TEXTS
from test_generation import fold

from spacy_tommer import MentionStreamer
from spacy_tommer.streaming.detokenizer import Detokenizer
from spacy_tommer.streaming.generated_texts import GeneratedTexts

DATES = "Ada met Bob on 2024-05-12 and Eve 2023-11-30 at 2022-01-02 in town. " * 2


def states_of(model, tokenizer, text):
    """Compute ids of a text and their states, in one pass of the whole model."""
    ids = tokenizer(text, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        hidden = model.model(ids, output_hidden_states=True).hidden_states
    return ids[0].tolist(), hidden[2][0]


def feed_by(texts, ids, states, size, given=lambda part: part):
    """Feed a text in parts of some ids, whose states follow with the next part."""
    texts.begin()
    events = []
    for start in range(0, len(ids), size):
        events += texts.feed(ids[start : start + size])
        events += texts.feed([], given(states[start : start + size]))
    return events + texts.finish()


def last(events, text):
    return {
        place: (event.label, event.flat, round(event.score, 3))
        for place, event in fold(events, text).items()
    }


def expected(doc):
    scores = doc.spans["mentions"].attrs["scores"]
    flat = {(ent.start_char, ent.end_char) for ent in doc.ents}
    return {
        place: (span.label_, place in flat, round(score, 3))
        for span, score in zip(doc.spans["mentions"], scores)
        for place in [(span.start_char, span.end_char)]
    }


def test_parts_of_any_size_leave_the_mentions_of_the_whole_text(writer):
    nlp, model, tokenizer = writer
    nlp.get_pipe("tommer").set_thresholds(0.3, None)
    texts = GeneratedTexts(nlp, tokenizer)
    whole = GeneratedTexts(nlp, tokenizer, keep_states=True)
    for shift in range(6):
        text = "word " * shift + DATES
        ids, states = states_of(model, tokenizer, text)
        whole.begin()
        events = whole.feed(ids, states) + whole.finish()
        found = expected(whole.doc())
        assert last(events, text) == found
        assert len(whole.doc()) == len(nlp.make_doc(text))
        for size in (1, 7):
            assert last(feed_by(texts, ids, states, size), text) == found
        fed = feed_by(texts, ids, states, 3, lambda part: part.numpy())
        assert last(fed, text) == found


def test_one_window_is_read_as_the_pipeline_does(writer):
    nlp, model, tokenizer = writer
    texts = GeneratedTexts(nlp, tokenizer)
    for text in TEXTS:
        ids, states = states_of(model, tokenizer, text)
        assert last(feed_by(texts, ids, states, 1), text) == expected(nlp(text))


def test_half_precision(writer):
    nlp, model, tokenizer = writer
    texts = GeneratedTexts(nlp, tokenizer)
    ids, states = states_of(model, tokenizer, TEXTS[0])
    assert feed_by(texts, ids, states.to(torch.bfloat16), 5)


def test_states_that_do_not_fit(writer):
    nlp, model, tokenizer = writer
    texts = GeneratedTexts(nlp, tokenizer)
    ids, states = states_of(model, tokenizer, TEXTS[0])
    with pytest.raises(ValueError, match="Text 0 has not begun"):
        texts.feed(ids)
    with pytest.raises(ValueError, match="Text 0 has not begun: there is no Doc"):
        texts.doc()
    texts.begin()
    for wrong in (states[None], states[:, :3], torch.cat([states, states]), states[0]):
        with pytest.raises(ValueError, match=r"shape \(n, 32\)"):
            texts.feed(ids, wrong)
    texts.feed(ids, states)
    with pytest.raises(ValueError, match="and 0 ids of the text have none yet"):
        texts.feed([], states[:1])


def test_one_text_ends_while_another_goes_on(writer):
    nlp, model, tokenizer = writer
    texts = GeneratedTexts(nlp, tokenizer)
    ids, states = states_of(model, tokenizer, TEXTS[0])
    texts.begin(2)
    first = texts.feed(ids, states, 0) + texts.finish(0)
    assert last(first, TEXTS[0]) == expected(nlp(TEXTS[0]))
    with pytest.raises(ValueError, match="Text 0 has not begun, or has ended"):
        texts.finish(0)
    second = texts.feed(ids, states, 1) + texts.finish()
    assert {event.sequence for event in second} == {1}
    assert last(second, TEXTS[0]) == expected(nlp(TEXTS[0]))


def test_a_doc_with_states(writer):
    nlp, model, tokenizer = writer
    ids, states = states_of(model, tokenizer, TEXTS[0])
    texts = GeneratedTexts(nlp, tokenizer, keep_states=True)
    feed_by(texts, ids, states, 4)
    doc, whole = texts.doc(), nlp(TEXTS[0])
    assert doc.text == TEXTS[0]
    assert [(s.start, s.end) for s in doc.spans["mentions"]] == [
        (s.start, s.end) for s in whole.spans["mentions"]
    ]
    assert doc._.trf_data.model_output.last_hidden_state.shape[-1] == states.shape[-1]
    texts = GeneratedTexts(nlp, tokenizer)
    feed_by(texts, ids, states, 4)
    with pytest.raises(ValueError, match="keep_states=True"):
        texts.doc()


def test_special_ids_are_decoded_once(writer, monkeypatch):
    *_, tokenizer = writer
    detokenizer = Detokenizer(tokenizer)
    decoded = []
    decode = detokenizer.decode
    monkeypatch.setattr(
        detokenizer, "decode", lambda ids: (decoded.append(len(ids)), decode(ids))[1]
    )
    ids = tokenizer(TEXTS[0])["input_ids"]
    shown = "".join(map(detokenizer.push, [*ids, *[1] * 50, *ids, 2]))
    assert shown == TEXTS[0] * 2
    assert max(decoded) < 4


def test_passages_are_collected_for_redaction_only(writer):
    nlp, model, tokenizer = writer
    streamer = MentionStreamer(nlp, tokenizer)
    settings = {**tokenizer(TEXTS[0], return_tensors="pt"), "max_new_tokens": 8}
    with streamer.run(model, **settings):
        list(streamer)
    assert not streamer.texts[0].session.collects
    assert not streamer.texts[0].session.passages
