"""The `tommer` component, which writes nested mentions to doc.spans and flat ones to
doc.ents."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Optional

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc, Span, SpanGroup
from spacy.training import Example, validate_examples
from spacy_transformers import Transformer
from thinc.api import Model, Optimizer, set_dropout_rate
from thinc.types import FloatsXd, Ragged

from .backbone.pipe import batch_by_tokens
from .backbone.spec import BackboneSpec
from .decoding.decode import FlatDecoder, greedy_decode, sigmoid
from .decoding.ents import fill_ents
from .decoding.mentions import Mentions, find_mentions
from .decoding.scorer import mention_score
from .decoding.scores import install_score
from .gold import check_examples
from .head.checkpoints import check_backbone, read_shipped
from .head.losses import balanced_bce, dense_bce, united_bce
from .head.model import set_head
from .keys import TARGETS
from .kinds import Kinds
from .seals import Sealed
from .settings import Setting, as_flag, as_key
from .thresholds import Thresholds
from .training.cells import batch_cells


class Tommer(Sealed, Kinds, Thresholds):
    """Find entity mentions, nested and flat.

    All settings can be changed at any time: `nlp.get_pipe("tommer").threshold = 0.8`.
    """

    spans_key = Setting(as_key)
    overwrite_ents = Setting(as_flag)
    border_rules = Setting(as_flag)

    def __init__(
        self,
        nlp: Language,
        model: Model[list[Doc], list[Ragged]],
        name: str = "tommer",
        *,
        spans_key: str = "mentions",
        label: str = "MENTION",
        threshold: float = 0.5,
        flat_threshold: Optional[float] = 0.9,
        operating_points: Optional[dict[str, Any]] = None,
        kinds: Optional[Sequence[str]] = None,
        border_rules: bool = True,
        overwrite_ents: bool = False,
        decoder: FlatDecoder = greedy_decode,
        scorer: Optional[Callable] = mention_score,
    ) -> None:
        """Initialize the component. The arguments are those of `make_tommer`."""
        install_score()
        self.vocab = nlp.vocab
        self.model = model
        self.name = name
        self.scorer = scorer
        self.cfg: dict[str, Any] = {}
        self.spans_key = spans_key
        self.label = label
        self.set_thresholds(threshold, flat_threshold)
        self.operating_points = operating_points or {}
        self.kinds = kinds
        self.border_rules = border_rules
        self.overwrite_ents = overwrite_ents
        self.decoder = decoder
        self.told_of_cut = False

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Find the mentions of a stream of Docs, in batches of bounded size in tokens.

        stream (Iterable[Doc]): The Docs, with hidden states.
        batch_size (int): Most Docs in a batch.
        YIELDS (Doc): The Docs, in order.
        """
        for docs in batch_by_tokens(stream, batch_size):
            yield from super().pipe(docs, batch_size=len(docs))

    def predict(self, docs: Iterable[Doc]) -> list[Ragged]:
        """Score every span of the Docs, without modifying them.

        docs (Iterable[Doc]): The Docs, with hidden states.
        RETURNS (list[Ragged]): For each Doc, span logits (units, L) and how many units
            each token has.
        """
        return self.model.predict(list(docs))

    def set_annotations(self, docs: Iterable[Doc], scores: list[Ragged]) -> None:
        """Write mentions to doc.spans, and a flat segmentation to doc.ents.

        docs (Iterable[Doc]): The Docs.
        scores (list[Ragged]): The span logits that `predict` returned.
        """
        docs = list(docs)
        mentions = self.decode(docs, scores, self.threshold)
        self.tell_cut(mentions.cut)
        for doc, nested in zip(docs, mentions.by_doc()):
            doc.spans[self.spans_key] = SpanGroup(
                doc,
                name=self.spans_key,
                attrs={
                    "scores": sigmoid(nested.logits).tolist(),
                    "label": self.label,
                },
                spans=self.make_spans(doc, nested),
            )
        if self.flat_threshold is not None:
            self.set_ents(docs, mentions.as_entities().above(self.flat_threshold))

    def decode(
        self, docs: Sequence[Doc], scores: Sequence[Ragged], threshold: float
    ) -> Mentions:
        """Find the mentions above a threshold.

        docs (Sequence[Doc]): The Docs.
        scores (Sequence[Ragged]): Their span logits, as `predict` returns them.
        threshold (float): Probability that a mention must exceed.
        RETURNS (Mentions): The mentions of all Docs.
        """
        ops = self.model.ops
        logits = np.concatenate([ops.to_numpy(one.dataXd) for one in scores])
        lengths = np.concatenate([ops.to_numpy(one.lengths) for one in scores])
        every = self.model.attrs["kinds"]
        wanted = [every.index(kind) for kind in self.kinds] if len(every) > 1 else [0]
        return find_mentions(
            docs, logits, lengths, threshold, wanted, len(every), self.border_rules
        )

    def tell_cut(self, cut: int) -> None:
        """Warn, once, of spans of wordpieces that are no spans of tokens.

        cut (int): How many there are in the first batch that has some.
        """
        if cut and not self.told_of_cut:
            self.told_of_cut = True
            warnings.warn(
                f"{cut} spans above `threshold` of {self.name!r} start or end inside a "
                "token and are left out, here and in later texts, for which no warning "
                "follows. A tokenizer with smaller tokens keeps them: [nlp.tokenizer] "
                '@tokenizers = "spacy_tommer.AnyScript.v1" splits scripts without spaces '
                "between words.",
                stacklevel=2,
            )

    def entities(self, mentions: Mentions) -> Mentions:
        """Pick the flat segmentation of mentions that were decoded at any threshold.

        mentions (Mentions): The mentions of `decode`.
        RETURNS (Mentions): Those that do not overlap, scored as entities, also below
            `flat_threshold`.
        """
        own = mentions.above(self.threshold) if self.scores_entities else mentions
        return own.as_entities().flat(self.decoder)

    def set_ents(self, docs: Sequence[Doc], mentions: Mentions) -> None:
        """Write the flat segmentation to doc.ents.

        docs (Sequence[Doc]): The Docs.
        mentions (Mentions): Mentions above `flat_threshold`, scored as entities.
        """
        free = np.ones(mentions.offsets[-1], dtype="bool")
        earlier = [list(doc.ents) for doc in docs]
        if not self.overwrite_ents:
            for ents, offset in zip(earlier, mentions.offsets):
                for ent in ents:
                    free[offset + ent.start : offset + ent.end] = False
        picked = mentions.flat(self.decoder, free)
        for doc, ents, flat in zip(docs, earlier, picked.by_doc()):
            fill_ents(doc, self.make_spans(doc, flat), ents)

    def make_spans(self, doc: Doc, mentions: Mentions) -> list[Span]:
        """Make the spans of one Doc."""
        labels = self.label_names
        return [
            Span(doc, start, end, label=labels[kind])
            for start, end, kind in zip(
                mentions.starts.tolist(), mentions.ends.tolist(), mentions.kinds.tolist()
            )
        ]

    def update(
        self,
        examples: Iterable[Example],
        *,
        drop: float = 0.0,
        sgd: Optional[Optimizer] = None,
        losses: Optional[dict[str, float]] = None,
    ) -> dict[str, float]:
        """Learn from a batch of examples whose predicted Docs carry hidden states.

        examples (Iterable[Example]): The examples.
        drop (float): The dropout rate. It is ignored: the head has no dropout.
        losses (Optional[dict[str, float]]): Losses by component, updated in place.
        RETURNS (dict[str, float]): The losses.
        """
        losses = {} if losses is None else losses
        losses.setdefault(self.name, 0.0)
        examples = list(examples)
        validate_examples(examples, "Tommer.update")
        if not any(len(example.predicted) for example in examples):
            return losses
        set_dropout_rate(self.model, drop)
        scores, backprop = self.model.begin_update([eg.predicted for eg in examples])
        loss, d_scores = self.get_loss(examples, scores)
        backprop(d_scores)
        if sgd is not None:
            self.finish_update(sgd)
        losses[self.name] += loss
        return losses

    def get_loss(
        self, examples: Sequence[Example], scores: list[Ragged]
    ) -> tuple[float, FloatsXd]:
        """Compute the cross-entropy over every span of the band and every kind: balanced
        for a head of one kind (equation 3), plain for one of several.

        Gold is reference.spans[spans_key], see `gold_cells`. A Doc without that key is not
        annotated and does not count, and neither do the spans of
        reference.spans["ignored"]. If reference.user_data["mention_targets"] has a
        teacher's probabilities of all spans, the loss is the cross-entropy with these
        (dense distillation, section 2.3); those that are NaN do not count.

        examples (Sequence[Example]): The examples.
        scores (list[Ragged]): The span logits of their predicted Docs. (units, L, K)
        RETURNS (tuple[float, FloatsXd]): The loss, and its gradient with respect to the
            logits of all Docs, concatenated. (N, L, K)
        """
        ops, attrs = self.model.ops, self.model.attrs
        logits = ops.xp.concatenate([one.dataXd for one in scores])
        within = ops.to_numpy(ops.xp.isfinite(logits[..., 0]))
        lengths = [ops.to_numpy(one.lengths) for one in scores]
        outputs = attrs["kinds"], self.spans_key, attrs["sources"]
        targets, counted, united = map(
            ops.xp.asarray, batch_cells(examples, within, lengths, *outputs)
        )
        dense = any(TARGETS in example.reference.user_data for example in examples)
        plain = dense or logits.shape[-1] > 1
        loss, gradient = (dense_bce if plain else balanced_bce)(logits, targets, counted)
        extra, more = united_bce(logits, united, max(float(counted.sum()), 1.0))
        return loss + extra, gradient + more

    def initialize(
        self,
        get_examples: Callable[[], Iterable[Example]],
        *,
        nlp: Optional[Language] = None,
        pretrained: Optional[str] = None,
    ) -> None:
        """Load a shipped head, or make a new one unless the model has one.

        get_examples (Callable[[], Iterable[Example]]): Returns a sample of the examples.
            ValueError is raised if no gold Doc has mentions.
        nlp (Optional[Language]): The pipeline. Its transformer computes the hidden states
            if the sample has none.
        pretrained (Optional[str]): Name of a shipped head to start from, such as "minilm".
            ValueError is raised if the transformer of the pipeline is not its backbone.
        """
        sample = list(islice(get_examples(), 100))
        validate_examples(sample, "Tommer.initialize")
        if pretrained is None and not any(
            self.spans_key in example.reference.spans for example in sample
        ):
            raise ValueError(
                f"No gold Doc has spans under the key {self.spans_key!r}, so there is "
                f"nothing to learn. Write doc.spans[{self.spans_key!r}], with an empty "
                "list where a text has no mention."
            )
        check_examples(sample, self.spans_key)
        carried = (eg.x for eg in sample if eg.x._.trf_data is not None and len(eg.x))
        doc = next(carried, None) or self.with_states(Doc(self.vocab, ["mention"]), nlp)
        if pretrained is not None:
            head, metadata = read_shipped(pretrained)
            attrs, spec = self.model.attrs, getattr(doc._.trf_data, "spec", BackboneSpec())
            check_backbone(metadata, spec, spec.layer(attrs["layer"]), attrs["unit"])
            set_head(self.model, head)
        self.model.initialize(X=[doc])

    def with_states(self, doc: Doc, nlp: Optional[Language]) -> Doc:
        """Compute the hidden states of a Doc if it has none, also with a frozen
        transformer."""
        pipes = nlp.components if nlp is not None else []
        for _, pipe in pipes:
            if isinstance(pipe, Transformer) and doc._.trf_data is None:
                doc = pipe(doc)
        return doc
