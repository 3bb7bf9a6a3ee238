"""Mentions in what a language model generates, from the states of its own pass."""

import pytest
import spacy
import torch
from conftest import TEXTS, add_backbone
from thinc.api import fix_random_seed
from tokenizers import decoders
from transformers import AutoModelForCausalLM, AutoTokenizer

from spacy_tommer import MentionStreamer, redact


def make_pipeline(folder, **settings):
    fix_random_seed(0)
    nlp = spacy.blank("en")
    add_backbone(nlp, str(folder), **settings)
    model = {
        "@architectures": "spacy_tommer.Tommer.v1",
        "max_length": 5,
        "kinds": ["A", "B"],
    }
    config = {"threshold": 0.8, "flat_threshold": 0.9, "model": model}
    tommer = nlp.add_pipe("tommer", config=config)
    doc = nlp.get_pipe("transformer")(nlp.make_doc("Ada"))
    tommer.model.initialize(X=[doc])
    return nlp


def fold(events, text):
    """Check the order of events, and return the last one of each mention that stays."""
    found, final = {}, set()
    for event in events:
        place = event.start, event.end
        assert text[event.start : event.end] == event.text
        assert place not in final
        if event.final:
            final.add(place)
        if event.what == "removed":
            found.pop(place)
        else:
            assert (event.what == "changed") == (place in found)
            found[place] = event
    assert final >= found.keys()
    return found


@pytest.fixture
def writer(tiny):
    """A pipeline, and the whole model whose first blocks it has, with its tokenizer."""
    folder = tiny("llama")
    nlp = make_pipeline(folder, window=64, stride=32)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.backend_tokenizer.decoder = decoders.ByteLevel()
    return nlp, model, tokenizer


def inputs(tokenizer, *texts):
    return tokenizer(list(texts), return_tensors="pt")


SETTINGS = {"max_new_tokens": 24, "do_sample": True, "temperature": 2.0}


def test_events_fit_the_text_that_was_generated(writer):
    nlp, model, tokenizer = writer
    streamer = MentionStreamer(nlp, tokenizer, prompt=True)
    given = inputs(tokenizer, TEXTS[0])
    with streamer.attach(model):
        [ids] = model.generate(**given, **SETTINGS, streamer=streamer)
    text = tokenizer.decode(ids, skip_special_tokens=True)
    found = fold(streamer, text)
    assert text.startswith(TEXTS[0]) and len(found) > 10
    # What stands in the prompt alone is read as in the whole text.
    doc = nlp(text)
    mentions = doc.spans["mentions"]
    expected = {(span.start_char, span.end_char) for span in mentions}
    early = {place for place in found if place[1] < len(TEXTS[0]) // 2}
    assert early and early == {one for one in expected if one[1] < len(TEXTS[0]) // 2}
    assert not any(module._forward_hooks for module in model.modules())


def test_no_second_pass_and_nothing_stays_hooked(writer):
    nlp, model, tokenizer = writer
    calls = []
    model.model.layers[1].register_forward_pre_hook(lambda *args: calls.append(1))
    streamer = MentionStreamer(nlp, tokenizer)
    with streamer.run(model, **inputs(tokenizer, TEXTS[0]), **SETTINGS) as stream:
        for _ in stream:
            break  # a consumer that leaves early
    assert 0 < len(calls) <= SETTINGS["max_new_tokens"]
    assert not any(module._forward_hooks for module in model.modules())


def test_beams_are_refused(writer):
    nlp, model, tokenizer = writer
    streamer = MentionStreamer(nlp, tokenizer)
    settings = {**inputs(tokenizer, TEXTS[0]), "num_beams": 2, "max_new_tokens": 4}
    with (
        pytest.raises(ValueError, match="beam"),
        streamer.run(model, **settings) as stream,
    ):
        list(stream)


def test_other_weights_are_refused_unless_allowed(writer):
    nlp, model, tokenizer = writer
    with torch.no_grad():
        model.model.layers[0].mlp.up_proj.weight.add_(1)
    settings = {**inputs(tokenizer, TEXTS[0]), "max_new_tokens": 4}
    streamer = MentionStreamer(nlp, tokenizer)
    with (
        pytest.raises(ValueError, match="has other weights"),
        streamer.run(model, **settings),
    ):
        pass
    allowed = MentionStreamer(nlp, tokenizer, allow_other=True)
    with allowed.run(model, **settings) as stream:
        list(stream)


def test_redacted_text(tiny):
    """Mentions that overlap are replaced together."""
    nlp = make_pipeline(tiny("llama"), window=16, stride=8)
    text = " ".join(TEXTS)
    nlp.get_pipe("tommer").set_thresholds(0.99999, None)
    chunks = [text[i : i + 7] for i in range(0, len(text), 7)]
    hidden = [False] * len(text)
    doc = nlp(text)
    for span in doc.spans["mentions"]:
        hidden[span.start_char : span.end_char] = [True] * len(span.text)
    shown = "".join("_" if hide else char for char, hide in zip(text, hidden))
    assert "_" in shown and shown.strip("_")
    masked = "".join(redact(nlp, chunks, lambda event: "_"))
    assert [part for part in masked.split("_") if part] == [
        part for part in shown.split("_") if part
    ]
    with pytest.raises(ValueError, match=r"The mask '\{kind\}' cannot be filled in"):
        redact(nlp, chunks, "{kind}")
