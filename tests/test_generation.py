"""Mentions in what a language model generates, from the states of its own pass."""

from threading import Event, Timer

import pytest
import torch
from conftest import TEXTS, make_pipeline

from benchmarks.stream import Folded
from spacy_tommer import MentionStreamer, redact
from spacy_tommer.backbone.language_model import find_blocks


def fold(events, text):
    """Check events, and return the last one of each mention that stays."""
    folded = Folded()
    for event in events:
        assert text[event.start : event.end] == event.text
        folded.add([event])
    assert folded.final >= folded.mentions.keys()
    return folded.mentions


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


def test_no_second_pass(writer):
    nlp, model, tokenizer = writer
    blocks = [
        *model.model.layers,
        *find_blocks(MentionStreamer(nlp, tokenizer).cut.network),
    ]
    calls = [0] * len(blocks)

    def count(block, *given):
        calls[blocks.index(block)] += 1

    for block in blocks:
        block.register_forward_pre_hook(count)
    settings = {**inputs(tokenizer, TEXTS[0]), **SETTINGS, "min_new_tokens": 24}
    with MentionStreamer(nlp, tokenizer).run(model, **settings) as stream:
        assert list(stream)
    assert calls == [24] * 3 + [0] * 2


def test_leaving_early_stops_the_model_and_leaves_no_hook(writer):
    nlp, model, tokenizer = writer
    settings = {**inputs(tokenizer, TEXTS[0][:9]), "min_new_tokens": 48}
    settings |= {"max_new_tokens": 48, "do_sample": False}
    calls, left = [], Event()

    def slow(*given):
        calls.append(1)
        if len(calls) > 20:
            left.wait(10)

    hook = model.model.layers[0].register_forward_pre_hook(slow)
    with MentionStreamer(nlp, tokenizer).run(model, **settings) as stream:
        for _ in stream:
            break  # a consumer that leaves early
        Timer(0.2, left.set).start()
    assert 0 < len(calls) < 48
    hook.remove()
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


def test_two_threads_generate_with_one_model(writer):
    nlp, model, tokenizer = writer
    given = [inputs(tokenizer, text) for text in TEXTS[:2]]
    settings = {"max_new_tokens": 30, "do_sample": False}
    streamers = [MentionStreamer(nlp, tokenizer, prompt=True) for _ in given]
    alone = []
    for streamer, own in zip(streamers, given):
        with streamer.run(model, **own, **settings):
            alone.append(list(streamer))
    with (
        streamers[0].run(model, **given[0], **settings),
        streamers[1].run(model, **given[1], **settings),
    ):
        together = [list(streamer) for streamer in streamers]
    # What was reported and removed again depends on how many steps are read at once.
    stay = [
        {(e.start, e.end): e.label for e in events if e.final and e.what != "removed"}
        for events in (*alone, *together)
    ]
    assert stay[:2] == stay[2:] and all(stay)


def test_a_streamer_that_has_nothing_to_read(writer):
    nlp, model, tokenizer = writer
    streamer = MentionStreamer(nlp, tokenizer, prompt=True)
    settings = {**inputs(tokenizer, TEXTS[0]), "max_new_tokens": 6}
    with pytest.raises(ValueError, match="No model has been attached"):
        list(streamer)
    with streamer.attach(model):
        pass
    assert list(streamer) == [] and list(streamer) == []
    with streamer.run(model, **settings):
        assert list(streamer)
        assert list(streamer) == [] and list(streamer.redact("_")) == []
    assert list(streamer) == []
    with streamer.attach(model):  # twice in one context
        for _ in range(2):
            model.generate(**settings, streamer=streamer)
            assert list(streamer)
    with pytest.raises(ValueError, match="is not attached to the model"):
        model.generate(**settings, streamer=streamer)


@pytest.mark.parametrize("tokens", [2, 3, 8])
def test_other_searches_are_refused_at_their_first_step(tokens, writer):
    nlp, model, tokenizer = writer
    given = {**inputs(tokenizer, TEXTS[0] * 2), "max_new_tokens": tokens}
    streamer = MentionStreamer(nlp, tokenizer)
    with (
        pytest.raises(ValueError, match="no assistant model, and no prompt lookup"),
        streamer.run(model, **given, prompt_lookup_num_tokens=2),
    ):
        list(streamer)


def test_embeddings_in_place_of_ids(writer):
    nlp, model, tokenizer = writer
    ids = inputs(tokenizer, TEXTS[0])["input_ids"]
    embeddings = model.get_input_embeddings()(ids).detach()
    settings = {"max_new_tokens": 8, "do_sample": False}
    streamer = MentionStreamer(nlp, tokenizer)
    with streamer.run(model, input_ids=ids, **settings):
        expected = list(streamer)
    with streamer.run(model, inputs_embeds=embeddings, **settings):
        assert list(streamer) == expected
    streamer = MentionStreamer(nlp, tokenizer, prompt=True)
    with (
        pytest.raises(ValueError, match=r"write model.generate\(input_ids=\.\.\.\)"),
        streamer.run(model, inputs_embeds=embeddings, **settings),
    ):
        list(streamer)


def test_an_error_that_nobody_reads_is_raised(writer):
    nlp, model, tokenizer = writer
    streamer = MentionStreamer(nlp, tokenizer, prompt=True)
    with (
        pytest.raises(ValueError, match="no_such_setting"),
        streamer.run(model, **inputs(tokenizer, TEXTS[0]), no_such_setting=1),
    ):
        pass
    settings = {**inputs(tokenizer, TEXTS[0]), "stopping_criteria": None}
    with streamer.run(model, **settings, max_new_tokens=4):
        assert list(streamer)


def test_sequences_of_a_batch_are_as_if_alone_and_end_by_themselves(writer):
    nlp, model, tokenizer = writer
    tokenizer.padding_side, tokenizer.pad_token = "left", "<pad>"
    texts = TEXTS[0], TEXTS[1][:20]
    settings = {"max_new_tokens": 20, "do_sample": False}
    streamer = MentionStreamer(nlp, tokenizer, prompt=True)
    alone = []
    for text in texts:
        given = inputs(tokenizer, text)
        ids = model.generate(**given, **settings)[0]
        with streamer.run(model, **given, **settings):
            alone.append(fold(streamer, tokenizer.decode(ids, skip_special_tokens=True)))
    # The first sequence ends as soon as its 5th id is chosen.
    given = tokenizer(list(texts), return_tensors="pt", padding=True)
    every = model.generate(**given, **settings)
    end = every[0, given["input_ids"].shape[1] + 4].item()
    with streamer.run(model, **given, **settings):
        events = list(streamer)
    for i, row in enumerate(every):
        text = tokenizer.decode(row, skip_special_tokens=True)
        found = fold((event for event in events if event.sequence == i), text)
        assert found.keys() == alone[i].keys()
        assert all(abs(found[k].score - alone[i][k].score) < 1e-3 for k in found)
    with streamer.run(model, **given, **settings, eos_token_id=end):
        for _ in streamer.read_steps():
            sessions = [text.session for text in streamer.texts]
            if sessions and sessions[0].ended and not sessions[1].ended:
                assert streamer.texts[0].complete
    assert all(text.complete for text in streamer.texts)


def test_redacted_generation(writer):
    nlp, model, tokenizer = writer
    nlp.get_pipe("tommer").set_thresholds(0.999, None)
    streamer = MentionStreamer(nlp, tokenizer, prompt=True)
    settings = {**inputs(tokenizer, TEXTS[0]), "max_new_tokens": 20, "do_sample": False}
    text = tokenizer.decode(model.generate(**settings)[0], skip_special_tokens=True)
    with streamer.run(model, **settings):
        events = fold(streamer, text)
    hidden = {i for start, end in events for i in range(start, end)}
    with streamer.run(model, **settings):
        masked = "".join(streamer.redact(lambda event: "\0"))
    kept = "".join("\0" if i in hidden else char for i, char in enumerate(text))
    assert hidden and [x for x in masked.split("\0") if x] == [
        x for x in kept.split("\0") if x
    ]
    with pytest.raises(ValueError, match="cannot be filled in"):
        streamer.redact("{kind}")
    with streamer.run(model, **settings):
        next(iter(streamer))
        with pytest.raises(ValueError, match="reads a text from its start"):
            list(streamer.redact())
    several = {**settings, "do_sample": True, "num_return_sequences": 2}
    with (
        streamer.run(model, **several),
        pytest.raises(ValueError, match="takes one sequence"),
    ):
        list(streamer.redact())


def test_stop_strings_and_use_again(writer):
    nlp, model, tokenizer = writer
    streamer = MentionStreamer(nlp, tokenizer, prompt=True)
    settings = {**inputs(tokenizer, TEXTS[0]), "max_new_tokens": 20, "do_sample": False}
    text = tokenizer.decode(model.generate(**settings)[0], skip_special_tokens=True)
    settings |= {"stop_strings": [text[-8:-5]], "tokenizer": tokenizer}
    runs = []
    for _ in range(2):
        with streamer.run(model, **settings):
            runs.append(list(streamer))
    ends = [max(event.end for event in events if event.final) for events in runs]
    assert ends[0] == ends[1] < len(text)


def test_weights_are_compared_once(writer, monkeypatch):
    from spacy_tommer.streaming import same_model

    nlp, model, tokenizer = writer
    compared = []
    has_weights = same_model.has_weights
    monkeypatch.setattr(
        same_model, "has_weights", lambda *both: compared.append(1) or has_weights(*both)
    )
    for _ in range(3):
        with MentionStreamer(nlp, tokenizer).attach(model):
            pass
    assert len(compared) == 1


def test_a_model_that_also_reads_images(writer, tiny):
    from transformers import CLIPVisionConfig, LlavaConfig, LlavaForConditionalGeneration

    nlp, model, tokenizer = writer
    sight = CLIPVisionConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=8,
        patch_size=4,
    )
    config = LlavaConfig(sight, model.config, image_token_index=399)
    both = LlavaForConditionalGeneration(config).eval()
    both.model.language_model.load_state_dict(model.model.state_dict())
    both.lm_head.load_state_dict(model.lm_head.state_dict())
    settings = {**inputs(tokenizer, TEXTS[0]), "max_new_tokens": 8, "do_sample": False}
    streamer = MentionStreamer(nlp, tokenizer, prompt=True)
    found = []
    for writes in (model, both):
        with streamer.run(writes, **settings):
            found.append(
                {(e.start, e.end) for e in streamer if e.final and e.what != "removed"}
            )
    assert found[0] == found[1] and found[0]
