"""The `tommer_zeroshot` component, which assigns defined types to mentions."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Optional

import numpy as np
import torch
from numpy.typing import NDArray
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example, validate_examples
from spacy_transformers import Transformer
from thinc.api import Model, Optimizer, fix_random_seed
from thinc.types import Floats2d

from ..backbone.model import spec_of
from ..decoding.decode import logit, sigmoid
from ..decoding.scores import install_score
from ..head.shim import has_head
from ..seals import Sealed
from ..settings import Setting, as_flag, as_key, as_optional_probability
from .candidates import candidates, mention_logits
from .definitions import Labels, Vectors, as_types, embed, embed_labels
from .ents import earlier_ents, set_ents, set_spans
from .head import TypeHead
from .labels import DefinedLabels
from .model import TypeQuestion, set_type_head
from .sampling import TypeSampler, training_types
from .scorer import entity_score
from .shipped import check_states, find_shipped, read_shipped_types, set_shipped

Found = tuple[list[NDArray[np.intp]], Floats2d]


class ZeroShot(Sealed, DefinedLabels):
    """Assign types to mentions by comparing them with definitions.

    Settings can be changed at any time, and so can the labels: `set_labels`, `add_label`.
    """

    mentions_key = Setting(as_key)
    keep_untyped = Setting(as_flag)
    overwrite_ents = Setting(as_flag)

    def __init__(
        self,
        transformer: Transformer,
        model: Model[TypeQuestion, Floats2d],
        name: str = "tommer_zeroshot",
        *,
        labels: Labels = (),
        mentions_key: str = "mentions",
        spans_key: str = "entities",
        threshold: Optional[float] = None,
        keep_untyped: bool = False,
        overwrite_ents: bool = False,
        scorer: Optional[Callable] = entity_score,
    ) -> None:
        """Initialize the component.

        transformer (Transformer): The pipe whose model embeds definitions. The other
            arguments are those of `make_zeroshot`.
        """
        install_score()
        self.transformer = transformer
        self.vocab = transformer.vocab
        self.model = model
        self.name = name
        self.scorer = scorer
        self.sampler: Optional[TypeSampler] = None
        self.cfg: dict[str, Any] = {"texts": {}}
        self.mentions_key = mentions_key
        self.spans_key = spans_key
        self.threshold = threshold
        self.keep_untyped = keep_untyped
        self.overwrite_ents = overwrite_ents
        self.set_labels(labels)

    @property
    def spans_key(self) -> str:
        """Key of doc.spans for the typed mentions."""
        return self.cfg["spans_key"]

    @spans_key.setter
    def spans_key(self, value: str) -> None:
        key = as_key("spans_key", value)
        if key == self.mentions_key:
            raise ValueError(
                f"`spans_key` is {key!r}, the key of the mentions that are typed. Set "
                'another key for the typed mentions, such as "entities".'
            )
        self.cfg["spans_key"] = key

    @property
    def threshold(self) -> float:
        """Score of the best label that a typed mention must exceed: the value that was set,
        or that of the head. Set None to restore the head's.
        """
        if self.cfg["threshold"] is not None:
            return self.cfg["threshold"]
        self.ensure_head()
        return self.model.attrs["threshold"]

    @threshold.setter
    def threshold(self, value: Optional[float]) -> None:
        self.cfg["threshold"] = as_optional_probability("threshold", value)

    def definitions(self) -> Floats2d:
        """Get the vectors of the labels, each the mean of the vectors of its texts. New
        vectors are computed, and all if the transformer computes in another precision than
        before.

        RETURNS (Floats2d): One row per label. (C, d)
        """
        attrs, texts = self.model.attrs, self.cfg["texts"].values()
        precision = spec_of(self.transformer.model).precision
        known = attrs["vectors"] if attrs["precision"] == precision else {}
        attrs["vectors"] = embed_labels(texts, known, self.embed)
        attrs["precision"] = precision
        rows = [attrs["vectors"][key] for key in map("\n".join, texts)]
        return np.array(rows, dtype="f").reshape(len(rows), self.model.get_dim("nI"))

    def embed(self, texts: Iterable[str]) -> dict[str, Vectors]:
        """Compute the vectors of texts at the block that is read for definitions. (d,)"""
        return embed(texts, self.transformer, self.model.attrs["definition_layer"])

    def predict(self, docs: Iterable[Doc]) -> Found:
        """Score the mentions of Docs against every label, without modifying the Docs.

        docs (Iterable[Doc]): The Docs, with mentions and hidden states.
        RETURNS (tuple): For each Doc, start and end (exclusive) of its mentions, in tokens
            (m, 2); and for all mentions the sum of the logit of each label against none and
            tommer's logit of the mention (M, C).
        """
        docs = list(docs)
        spans = [self.candidates(doc) for doc in docs]
        if not self.labels or not sum(map(len, spans)):
            return spans, np.zeros((sum(map(len, spans)), len(self.labels)), dtype="f")
        self.ensure_head()
        check_states(docs, self.transformer, self.model)
        question = TypeQuestion(docs, spans, self.definitions())
        logits = self.model.ops.to_numpy(self.model.predict(question))
        return spans, logits + mention_logits(docs, spans, self.mentions_key)[:, None]

    def candidates(self, doc: Doc) -> NDArray[np.intp]:
        """List start and end (exclusive) of the mentions of a Doc, in tokens. (m, 2)"""
        return np.array(candidates(doc, self.mentions_key), "intp").reshape(-1, 2)

    def ensure_head(self) -> None:
        """Load the shipped head for the transformer, unless the model has a head."""
        if not has_head(self.model):
            set_shipped(self.model, *find_shipped(self.transformer, self.model))

    def set_annotations(self, docs: Iterable[Doc], found: Found) -> None:
        """Write typed mentions to doc.spans, and those picked without overlap to doc.ents.

        docs (Iterable[Doc]): The Docs.
        found (tuple): The mentions and logits that `predict` returned.
        """
        spans, logits = found
        least = logit(self.threshold)
        offset = 0
        for doc, places in zip(docs, spans):
            scores = logits[offset : offset + len(places)]
            offset += len(places)
            best = scores.argmax(axis=1) if self.labels else np.zeros(len(places), "i")
            top = scores.max(axis=1, initial=-np.inf)
            self.write_spans(doc, places, best, sigmoid(top).tolist(), top > least)

    def write_spans(
        self,
        doc: Doc,
        places: NDArray[np.intp],
        best: NDArray[np.intp],
        scores: Sequence[float],
        typed: NDArray[np.bool_],
    ) -> None:
        """Write the mentions of one Doc.

        doc (Doc): The Doc.
        places (NDArray): Start and end (exclusive) of each mention, in tokens. (m, 2)
        best (NDArray): Index of the best label of each mention. (m,)
        scores (Sequence[float]): Probability of that label. (m,)
        typed (NDArray): Whether the mention has a type. (m,)
        """
        untyped = {
            (span.start, span.end): span.label_ for span in doc.spans[self.mentions_key]
        }
        labels = self.labels
        spans: list[Span] = []
        kept: list[float] = []
        flat: list[int] = []
        for i, place in enumerate(map(tuple, places.tolist())):
            if typed[i]:
                flat.append(len(spans))
            elif not self.keep_untyped:
                continue
            label = labels[best[i]] if typed[i] else untyped.get(place, "")
            doc.vocab.strings.add(label)
            spans.append(Span(doc, *place, label=label))
            kept.append(scores[i])
        before = {
            (span.start, span.end, span.label) for span in doc.spans.get(self.spans_key, [])
        }
        others = earlier_ents(doc, self.mentions_key)
        earlier = [e for e in others if (e.start, e.end, e.label) not in before]
        mentions = [ent for ent in doc.ents if ent not in others]
        set_spans(doc, self.spans_key, spans, kept)
        set_ents(
            doc,
            [spans[i] for i in flat],
            [kept[i] for i in flat],
            earlier,
            self.overwrite_ents,
            mentions if self.keep_untyped else (),
        )

    def update(
        self,
        examples: Iterable[Example],
        *,
        drop: float = 0.0,
        sgd: Optional[Optimizer] = None,
        losses: Optional[dict[str, float]] = None,
    ) -> dict[str, float]:
        """Learn from examples whose predicted Docs carry hidden states and mentions.

        examples (Iterable[Example]): The examples; reference.spans[spans_key] has the typed
            mentions.
        drop (float): The dropout rate. It is ignored: the head has its own.
        losses (Optional[dict[str, float]]): Losses by component, updated in place.
        RETURNS (dict[str, float]): The losses.
        """
        losses = {} if losses is None else losses
        losses.setdefault(self.name, 0.0)
        examples = list(examples)
        validate_examples(examples, "ZeroShot.update")
        if self.sampler is None:
            types = as_types(self.label_data)
            self.sampler = TypeSampler(types, self.embed, self.spans_key)
        docs = [example.predicted for example in examples]
        spans = [self.candidates(doc) for doc in docs]
        if not sum(map(len, spans)):
            return losses
        batch = self.sampler.batch(examples, spans)
        question = TypeQuestion(docs, spans, batch.definitions)
        scores, backprop = self.model.begin_update(question)
        loss, d_scores = batch.loss(self.model.ops.to_numpy(scores))
        backprop(self.model.ops.asarray2f(d_scores))
        if sgd is not None:
            self.finish_update(sgd)
        losses[self.name] += loss
        return losses

    def initialize(
        self,
        get_examples: Callable[[], Iterable[Example]],
        *,
        nlp: Optional[Language] = None,
        definitions: Optional[str] = None,
        pretrained: Optional[str] = None,
        seed: int = 0,
    ) -> None:
        """Read the types of the training texts, and make a head for them. If there are
        none, a shipped head is loaded at first use.

        get_examples (Callable[[], Iterable[Example]]): Returns a sample of the examples.
        definitions (Optional[str]): Path of a JSON file that has, by label of the training
            texts, "name" and "definitions", and "broader" and "overlaps" where types have
            them; by default the labels in the sample are used without definitions. If it
            has no `labels`, the component assigns those types that have no broader one.
        pretrained (Optional[str]): Name of a shipped model whose head is loaded.
        seed (int): Seed of the weights, and of the sampling of types to compare with.
        """
        fix_random_seed(seed)
        attrs = self.model.attrs
        if pretrained is not None:
            shipped = read_shipped_types(pretrained, self.transformer, self.model)
            set_shipped(self.model, *shipped)
        types = training_types(get_examples, definitions, self.spans_key)
        if not types:
            return
        self.sampler = TypeSampler(types, self.embed, self.spans_key, seed)
        if pretrained is None:
            vectors = torch.from_numpy(self.sampler.all_vectors())
            head = TypeHead(vectors.shape[1], attrs["hidden"])
            head.standardise(vectors)
            set_type_head(self.model, head)
            attrs["threshold"] = 0.5
        if not self.labels:
            own = {label: type_ for label, type_ in types.items() if not type_.broader}
            described = all(type_.definitions for type_ in own.values())
            texts = {label: type_.description for label, type_ in own.items()}
            self.set_labels(texts if described else [*own])
