from pathlib import Path

import numpy as np
import pytest
import spacy
from conftest import add_backbone
from numpy.testing import assert_allclose, assert_array_equal
from spacy.cli.train import train
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Example
from thinc.api import fix_random_seed
from thinc.types import Ragged

from spacy_tommer.backbone.states import read_states
from spacy_tommer.entities.candidates import make_mention_suggester
from spacy_tommer.entities.ents import EntsWriter, earlier_ents
from spacy_tommer.entities.spancat import SpanStates, TokenStates
from spacy_tommer.training.corpus import CachedCorpus

CONFIG = Path(__file__).parents[1] / "configs" / "ner.cfg"
SENTENCES = [
    ("Anna Berg lives in Oslo.", {"Anna Berg": "PER", "Oslo": "LOC"}),
    ("The ship left Bergen on Monday.", {"Bergen": "LOC"}),
    ("Yesterday Tom Hill met Mary.", {"Tom Hill": "PER", "Mary": "PER"}),
    ("In New Delhi it rained.", {"New Delhi": "LOC"}),
    ("Nobody knew Peter Wolf.", {"Peter Wolf": "PER"}),
    ("It rained again.", {}),
]


def gold_doc(nlp, text, entities):
    doc = nlp.make_doc(text)
    doc.spans["entities"] = [
        doc.char_span(text.index(name), text.index(name) + len(name), label)
        for name, label in entities.items()
    ]
    return doc


def gold_docs(nlp):
    return [gold_doc(nlp, *sentence) for sentence in SENTENCES]


def with_states(nlp, text):
    return nlp.get_pipe("transformer")(nlp.make_doc(text))


def places(spans):
    return [(span.start, span.end) for span in spans]


def typed(spans):
    return [(span.text, span.label_) for span in spans]


def written(doc):
    """What a pipeline wrote to a Doc."""
    spans = {key: (typed(group), group.attrs["scores"]) for key, group in doc.spans.items()}
    return spans, typed(doc.ents)


def blank_doc(*spans, key="entities", scores=None):
    """A Doc of eight tokens with spans: start, end and label."""
    doc = Doc(spacy.blank("en").vocab, [f"w{i}" for i in range(8)])
    doc.spans[key] = [Span(doc, *span) for span in spans]
    if scores is not None:
        doc.spans[key].attrs["scores"] = scores
    return doc


def test_entities_that_are_mentions_of_a_kind_give_way():
    """Other components may use the name of a kind as a label, too."""
    doc = blank_doc((0, 1, "NAME"), (1, 3, "QUANTITY"), (4, 6, "TERM"), key="mentions")
    ents = [(0, 1, "NAME"), (1, 3, "CITY"), (3, 4, "QUANTITY"), (4, 6, "TERM")]
    doc.ents = [Span(doc, *ent) for ent in [*ents, (7, 8, "MENTION")]]
    doc.spans["mentions"].attrs["label"] = "MENTION"
    kept = [(ent.start, ent.end, ent.label_) for ent in earlier_ents(doc, "mentions")]
    assert kept == [(1, 3, "CITY"), (3, 4, "QUANTITY")]


@pytest.mark.parametrize("layer", [0, 1, None])
def test_token_states_are_those_of_the_layer(layer, make_nlp):
    nlp = make_nlp(layers=(0, 1))
    docs = [with_states(nlp, text) for text in ("Anna  met Tom.", "", "Oslo")]
    model = TokenStates(layer)
    model.initialize(X=docs)
    first, empty, last = model.predict(docs)
    expected = read_states(docs[0], 1 if layer is None else layer)
    assert expected.lengths.tolist() == [1, 0, 1, 1, 1]
    assert_array_equal(first[[0, 2, 3, 4]], expected.dataXd)
    assert_array_equal(first[1], np.zeros(32))
    assert empty.shape == (0, 32) and last.shape == (1, 32)
    assert first.dtype == "float32"


def test_the_layers_of_token_states_differ(make_nlp):
    doc = with_states(make_nlp(layers=(0, 1)), "Anna met Tom.")
    rows = []
    for layer in (0, 1):
        model = TokenStates(layer)
        model.initialize(X=[doc])
        rows.append(model.predict([doc])[0])
    assert np.abs(rows[0] - rows[1]).max() > 0.1


def test_token_states_know_their_width(make_nlp):
    nlp = make_nlp()
    for docs in ([], [nlp.make_doc("")], [nlp.make_doc("no states")]):
        with pytest.raises(ValueError, match=r"spacy_tommer\.CachedCorpus\.v1"):
            TokenStates().initialize(X=docs)
    model = TokenStates()
    model.initialize(X=[nlp.make_doc("no states"), with_states(nlp, "Anna")])
    assert model.get_dim("nO") == 32
    model.set_dim("nO", 48, force=True)
    with pytest.raises(ValueError, match="width 48, and the transformer writes 32"):
        model.predict([with_states(nlp, "Anna")])


def test_the_suggester_unites_mentions_and_gold():
    first = blank_doc((4, 6, "A"), (0, 2, "A"), (0, 1, "A"), key="mentions")
    first.spans["gold"] = [first[0:2], first[3:8], first[0:2]]
    second = blank_doc(key="mentions")
    third = blank_doc((7, 8, "A"), key="mentions")
    found = make_mention_suggester()([first, second, third])
    assert found.lengths.tolist() == [4, 0, 1]
    assert found.dataXd.tolist() == [[0, 1], [0, 2], [3, 8], [4, 6], [7, 8]]
    assert found.dataXd.dtype == "int32"
    nothing = make_mention_suggester()([second])
    assert nothing.dataXd.shape == (0, 2) and nothing.lengths.tolist() == [0]


def test_the_suggester_needs_mentions():
    suggest = make_mention_suggester("names")
    with pytest.raises(ValueError, match=r"doc\.spans\['names'\] is missing"):
        suggest([blank_doc(key="mentions")])
    assert suggest([blank_doc((0, 3, "A"), key="names")]).dataXd.tolist() == [[0, 3]]


@pytest.mark.parametrize("mean", [True, False])
def test_span_states_by_hand(mean):
    states = np.random.default_rng(0).normal(size=(6, 4)).astype("f")
    ragged = Ragged(states, np.array([3, 1, 2], dtype="i"))
    spans = [states[:3], states[3:4], states[4:]]
    parts = [lambda s: s[0], lambda s: s[-1], lambda s: s.mean(axis=0)][: 2 + mean]
    joined = np.array([np.concatenate([part(span) for part in parts]) for span in spans])
    fix_random_seed(0)
    model = SpanStates(hidden_size=5, mean=mean)
    model.initialize(X=ragged)
    assert joined.shape == (3, 12 if mean else 8)
    assert_allclose(model.layers[0].predict(ragged), joined, atol=1e-6)
    (hidden,) = (node for node in model.walk() if node.name == "swish")
    spread = joined.std(axis=1, keepdims=True)
    normed = (joined - joined.mean(axis=1, keepdims=True)) / spread
    inner = normed @ hidden.get_param("W").T + hidden.get_param("b")
    expected = inner / (1 + np.exp(-inner))
    assert_allclose(model.predict(ragged), expected, atol=1e-4)


def test_gold_is_proposed_on_request(make_nlp, tmp_path):
    nlp = make_nlp()
    DocBin(docs=gold_docs(nlp)).to_disk(tmp_path / "gold.spacy")
    plain = list(CachedCorpus(tmp_path / "gold.spacy", tmp_path / "cache")(nlp))
    reader = CachedCorpus(tmp_path / "gold.spacy", tmp_path / "cache", propose_gold=True)
    for example, bare in zip(reader(nlp), plain, strict=True):
        gold = example.reference.spans["entities"]
        assert places(example.predicted.spans["gold"]) == places(gold)
        assert all(span.label == 0 for span in example.predicted.spans["gold"])
        assert not bare.predicted.spans
    assert typed(plain[0].reference.spans["entities"]) == [
        ("Anna Berg", "PER"),
        ("Oslo", "LOC"),
    ]


def make_mentions(backbone):
    """A pipeline whose tommer, without training, finds about half of the entities."""
    fix_random_seed(0)
    nlp = spacy.blank("en")
    add_backbone(nlp, backbone)
    tommer = nlp.add_pipe("tommer", config={"threshold": 0.0})
    golds = gold_docs(nlp)
    for gold in golds:
        gold.spans["mentions"] = list(gold.spans["entities"])
    nlp.initialize(lambda: [Example(nlp.make_doc(gold.text), gold) for gold in golds])
    scores = []
    for doc, gold in zip(nlp.pipe(gold.text for gold in golds), golds):
        mentions = doc.spans["mentions"]
        score = dict(zip(places(mentions), mentions.attrs["scores"]))
        scores += [score[place] for place in places(gold.spans["entities"])]
    tommer.threshold = sorted(scores)[len(scores) // 2] - 1e-6
    return nlp


@pytest.fixture(scope="module")
def trained(tiny, tmp_path_factory):
    """Train configs/ner.cfg."""
    folder = tmp_path_factory.mktemp("ner")
    nlp = make_mentions(tiny("bert"))
    nlp.to_disk(folder / "mentions")
    DocBin(docs=gold_docs(nlp)).to_disk(folder / "gold.spacy")
    steps = 60
    overrides = {
        "paths.train": str(folder / "gold.spacy"),
        "paths.dev": str(folder / "gold.spacy"),
        "paths.cache": str(folder / "cache"),
        "paths.mentions": str(folder / "mentions"),
        "training.max_steps": steps,
        "training.eval_frequency": steps // 2,
        "training.optimizer.learn_rate.warmup_steps": 5,
        "training.optimizer.learn_rate.total_steps": steps,
    }
    train(CONFIG, folder / "output", overrides=overrides)
    return folder


@pytest.fixture
def ner(trained):
    return spacy.load(trained / "output" / "model-last")


def measures(nlp, examples):
    scores = nlp.evaluate(examples)
    return {key: value for key, value in scores.items() if key != "speed"}


def test_training_with_a_fixed_schema(ner):
    assert set(ner.get_pipe("spancat").labels) == {"PER", "LOC"}
    found, gold = set(), set()
    docs = []
    for reference in gold_docs(ner):
        doc = ner(reference.text)
        mentions = set(places(doc.spans["mentions"]))
        wanted = [s for s in reference.spans["entities"] if (s.start, s.end) in mentions]
        assert typed(doc.spans["entities"]) == typed(wanted)
        assert typed(doc.ents) == typed(wanted)
        scores = doc.spans["entities"].attrs["scores"]
        assert all(type(score) is float and 0.5 < score <= 1 for score in scores)
        assert len(scores) == len(wanted)
        docs.append(doc)
        found.update(typed(wanted))
        gold.update(typed(reference.spans["entities"]))
    assert 2 < len(found) < len(gold)
    assert {label for _, label in found} == {"PER", "LOC"}
    stored = DocBin().from_bytes(DocBin(docs=docs).to_bytes()).get_docs(ner.vocab)
    assert [written(doc) for doc in stored] == [written(doc) for doc in docs]


def test_scores_do_not_see_the_gold_spans(ner, trained):
    path, cache = trained / "gold.spacy", trained / "cache"
    plain = [Example(ner.make_doc(gold.text), gold) for gold in gold_docs(ner)]
    scores = measures(ner, plain)
    examples = list(CachedCorpus(path, cache)(ner))
    assert all("gold" not in example.predicted.spans for example in examples)
    assert measures(ner, examples) == scores
    assert scores["spans_entities_p"] == 1
    assert 0.3 < scores["spans_entities_r"] < 1
    leaking = list(CachedCorpus(path, cache, propose_gold=True)(ner))
    assert measures(ner, leaking)["spans_entities_f"] == 1


def test_the_pipeline_proposes_mentions_alone(ner):
    suggest = make_mention_suggester()
    for text, _ in SENTENCES:
        doc = ner(text)
        proposed = [tuple(place) for place in suggest([doc]).dataXd.tolist()]
        assert proposed == sorted(places(doc.spans["mentions"]))
        assert "gold" not in doc.spans


def test_a_stream_equals_single_texts(ner):
    texts = [*(text for text, _ in SENTENCES), "", "  ", "Anna Berg met Tom Hill in Oslo."]
    for batch_size in (2, 64):
        for text, doc in zip(texts, ner.pipe(texts, batch_size=batch_size)):
            (spans, ents), (again, ents_again) = written(doc), written(ner(text))
            assert ents == ents_again
            for key in ("mentions", "entities"):
                assert spans[key][0] == again[key][0]
                assert_allclose(spans[key][1], again[key][1], atol=1e-4)


@pytest.mark.parametrize("names, expected", [(["Anna Berg"], 1), ([], 0)])
def test_one_mention_or_none(names, expected, ner):
    """Also beside Docs with more mentions."""
    text, entities = SENTENCES[0]
    docs = [with_states(ner, text) for _ in range(2)]
    gold = gold_doc(ner, text, entities)
    wanted = [span for span in gold.spans["entities"] if span.text in names]
    docs[0].spans["mentions"] = [docs[0][span.start : span.end] for span in wanted]
    docs[1].spans["mentions"] = [docs[1][0:2], docs[1][1:2], docs[1][4:5]]
    spancat, writer = ner.get_pipe("spancat"), ner.get_pipe("ents")
    for batch in (docs[:1], docs):
        for doc in spancat.pipe(batch, batch_size=2):
            writer(doc)
        assert typed(docs[0].spans["entities"]) == typed(wanted)
        assert len(docs[0].ents) == expected
        assert len(docs[0].spans["entities"].attrs["scores"]) == expected
    assert typed(docs[1].ents) == [("Anna Berg", "PER"), ("Oslo", "LOC")]


def test_spans_come_out_in_the_order_of_the_text():
    scores = np.array([[0.9], [0.6], [0.8]], dtype="f")
    doc = blank_doc((5, 7, "ORG"), (0, 3, "LOC"), (0, 2, "PER"), scores=scores)
    assert EntsWriter("entities", "mentions", False)(doc) is doc
    assert typed(doc.spans["entities"]) == [
        ("w0 w1", "PER"),
        ("w0 w1 w2", "LOC"),
        ("w5 w6", "ORG"),
    ]
    found = doc.spans["entities"].attrs["scores"]
    assert found == pytest.approx([0.8, 0.6, 0.9])
    assert all(type(score) is float for score in found)
    assert typed(doc.ents) == [("w0 w1", "PER"), ("w5 w6", "ORG")]


def test_spans_without_scores():
    doc = blank_doc((4, 5, "PER"), (0, 2, "LOC"), (1, 2, "ORG"))
    EntsWriter("entities", "mentions", False)(doc)
    assert doc.spans["entities"].attrs["scores"] == [1.0, 1.0, 1.0]
    assert typed(doc.ents) == [("w0 w1", "LOC"), ("w4", "PER")]
    empty = blank_doc()
    EntsWriter("entities", "mentions", False)(empty)
    assert empty.spans["entities"].attrs["scores"] == []
    assert not empty.ents and empty.has_annotation("ENT_IOB")
    with pytest.raises(ValueError, match=r"doc\.spans\['entities'\] is missing"):
        EntsWriter("entities", "mentions", False)(blank_doc(key="mentions"))


@pytest.mark.parametrize(
    "overwrite, expected",
    [
        (False, [("w1 w2", "CODE"), ("w4", "PER"), ("w7", "CODE")]),
        (True, [("w0 w1", "LOC"), ("w4", "PER"), ("w7", "CODE")]),
    ],
)
def test_entities_of_a_ruler(overwrite, expected, tmp_path):
    nlp = spacy.blank("en")
    ruler = nlp.add_pipe("entity_ruler")
    ruler.add_patterns([{"label": "CODE", "pattern": name} for name in ("w1 w2", "w7")])
    nlp.add_pipe(
        "tommer_ents",
        config={"overwrite_ents": overwrite, "spans_key": "types", "mentions_key": "found"},
    )
    nlp.to_disk(tmp_path / "nlp")
    for pipeline in (nlp, spacy.load(tmp_path / "nlp")):
        doc = Doc(pipeline.vocab, [f"w{i}" for i in range(8)])
        doc.spans["types"] = [Span(doc, 0, 2, "LOC"), Span(doc, 4, 5, "PER")]
        doc.spans["types"].attrs["scores"] = [0.9, 0.7]
        assert typed(pipeline(doc).ents) == expected
        assert doc.spans["types"].attrs["scores"] == [0.9, 0.7]


def test_the_entities_of_tommer_give_way():
    doc = blank_doc((1, 2, "PER"), scores=[0.6])
    doc.spans["mentions"] = [Span(doc, 0, 3, "MENTION"), Span(doc, 5, 7, "MENTION")]
    doc.ents = [*doc.spans["mentions"], Span(doc, 7, 8, "LOC")]
    EntsWriter("entities", "mentions", False)(doc)
    assert typed(doc.ents) == [("w1", "PER"), ("w7", "LOC")]
    doc = blank_doc((1, 2, "PER"), scores=[0.6])
    doc.spans["mentions"] = [Span(doc, 0, 3, "MENTION")]
    doc.ents = [Span(doc, 0, 3, "WORK")]
    EntsWriter("entities", "mentions", False)(doc)
    assert typed(doc.ents) == [("w0 w1 w2", "WORK")]


def test_entities_of_tommer_that_are_no_mentions_give_way():
    """As a flat threshold below the other one gives them."""
    doc = blank_doc((1, 2, "PER"), scores=[0.6])
    doc.spans["mentions"] = [Span(doc, 1, 2, "MENTION")]
    doc.ents = [Span(doc, 0, 3, "MENTION"), Span(doc, 4, 5, "MENTION")]
    EntsWriter("entities", "mentions", False)(doc)
    assert typed(doc.ents) == [("w1", "PER")]
