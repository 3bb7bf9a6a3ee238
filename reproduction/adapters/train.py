"""Train a LoRA adapter, so that the states of a language model tell the types of mentions
(Just Pass Twice, arXiv 2604.05158)."""

import hashlib
import random
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any, Optional

import spacy
import torch
from spacy.language import Language
from spacy.training import Example
from thinc.api import get_torch_default_device
from torch.nn.utils import clip_grad_norm_
from tqdm import tqdm

from spacy_tommer.backbone.model import cut_model
from spacy_tommer.entities.definitions import as_types, read_labels, read_types
from spacy_tommer.entities.head import TypeHead
from spacy_tommer.entities.sampling import TypeSampler
from spacy_tommer.files import whole_folder
from spacy_tommer.keys import ENTITIES

from .card import write_card
from .checkpoint import load_checkpoint, save_checkpoint
from .definitions import KeptDefinitions
from .model import STRIDE, WINDOW, AdaptedModel
from .recipe import Recipe
from .texts import TypedTexts, draw_spans, types_in_use

# Learning rate of the head, which starts from nothing: that of configs/zeroshot.cfg.
HEAD_RATE = 1e-3
# Share of the steps in which the learning rate rises.
WARMUP = 0.1
GRAD_CLIP = 1.0
# How much of the mean loss that is shown comes from the last step.
NEWEST = 0.05


def train_adapter(
    corpus: Path,
    output: Path,
    recipe: Recipe,
    types_file: Optional[Path] = None,
    cache: Path = Path("cache"),
    checkpoint_every: int = 100,
) -> list[float]:
    """Train an adapter, or go on with a training that was interrupted.

    corpus (Path): A DocBin, or a folder of them, with doc.spans["entities"].
    output (Path): Folder to write; it appears whole or not at all. A checkpoint lies beside
        it until then.
    recipe (Recipe): The settings.
    types_file (Optional[Path]): JSON file with names and definitions of the labels; by
        default the labels have no definitions.
    cache (Path): Folder that keeps the texts in the format of training, and the vectors of
        definitions.
    checkpoint_every (int): Steps between checkpoints.
    RETURNS (list[float]): The loss of each step of this run.
    RAISES (ValueError): If there are no typed texts, if a label has no type, or if the
        checkpoint is of another training.
    """
    if output.exists():
        raise ValueError(f"{output} exists. Remove it, or name another folder to write.")
    training = Training(corpus, recipe, types_file, cache)
    path = output.with_name(f"{output.name}.checkpoint.safetensors")
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_file():
        training.resume(path)
    losses = []
    for loss in training.run():
        losses.append(loss)
        if training.step % checkpoint_every == 0:
            training.save(path)
    with whole_folder(output) as aside:
        training.model.save(aside)
        write_card(aside, recipe, training.about(corpus, types_file))
    path.unlink(missing_ok=True)
    return losses


class Training:
    """Hold an adapter in training, and the head that is trained with it and then dropped.

    corpus (Path): The corpus.
    recipe (Recipe): The settings.
    types_file (Optional[Path]): File of the types.
    cache (Path): Folder that keeps the texts and the vectors of definitions.
    """

    def __init__(
        self, corpus: Path, recipe: Recipe, types_file: Optional[Path], cache: Path
    ) -> None:
        self.recipe = recipe
        self.step = 0
        self.loss: Optional[float] = None
        nlp = make_nlp(recipe)
        transformer = nlp.get_pipe("transformer")
        self.texts = TypedTexts(corpus, cache, nlp)
        if types_file is None:
            types = as_types(read_labels(self.texts.labels))
        else:
            types = types_in_use(read_types(types_file), self.texts.labels, types_file)
        self.types = types
        definitions = KeptDefinitions(transformer, cache)
        self.sampler = TypeSampler(types, definitions.embed, ENTITIES, recipe.seed)
        cut = cut_model(transformer.model)
        self.identity = {
            **asdict(recipe),
            "sha256": cut.sha256,
            "texts": self.texts.digest,
            "types": hashlib.sha256(repr(types).encode("utf-8")).hexdigest(),
        }
        device = get_torch_default_device()
        self.model = AdaptedModel(cut, recipe)
        vectors = torch.from_numpy(self.sampler.all_vectors())
        self.head = TypeHead(vectors.shape[1])
        self.head.standardise(vectors)
        self.head.to(device).train()
        adapter = self.model.parameters()
        self.weights: dict[str, Any] = {**adapter, **self.head.state_dict(keep_vars=True)}
        self.optimizer = torch.optim.AdamW(
            [
                {"params": list(adapter.values()), "highest": recipe.learn_rate},
                {"params": list(self.head.parameters()), "highest": HEAD_RATE},
            ]
        )

    def run(self) -> Iterator[float]:
        """Take the steps that are left.

        YIELDS (float): The loss of each.
        """
        recipe = self.recipe
        batches = self.texts.batches(recipe.batch_words, recipe.seed)
        left = islice(batches, self.step, recipe.steps)
        with tqdm(total=recipe.steps, initial=self.step, unit="step") as bar:
            for places in left:
                loss = self.update(self.texts.read(places))
                before = loss if self.loss is None else self.loss
                self.loss = (1 - NEWEST) * before + NEWEST * loss
                bar.set_postfix(loss=f"{self.loss:.3f}", refresh=False)
                bar.update()
                yield loss

    def update(self, examples: list[Example]) -> float:
        """Take one step.

        examples (list[Example]): The texts of the batch.
        RETURNS (float): The loss.
        """
        seed = f"{self.recipe.seed} {self.step}"
        torch.manual_seed(random.Random(seed).getrandbits(63))
        self.sampler.rng = random.Random(seed)
        drawn = [draw_spans(example.y, self.sampler.rng) for example in examples]
        chosen = [(example, own) for example, own in zip(examples, drawn) if len(own)]
        self.step += 1
        if not chosen:
            return 0.0
        examples, spans = map(list, zip(*chosen))
        batch = self.sampler.batch(examples, spans)
        device = get_torch_default_device()
        vectors = self.model.span_vectors([example.x for example in examples], spans)
        logits = self.head(vectors, torch.from_numpy(batch.definitions).to(device))
        loss, gradient = batch.loss(logits.detach().cpu().numpy())
        logits.backward(torch.from_numpy(gradient).to(device))
        groups = self.optimizer.param_groups
        clip_grad_norm_([one for group in groups for one in group["params"]], GRAD_CLIP)
        for group in groups:
            group["lr"] = group["highest"] * self.rate()
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss

    def rate(self) -> float:
        """Compute the learning rate of a step as a share of the highest: it rises and then
        falls in a line."""
        steps = self.recipe.steps
        warmup = max(WARMUP * steps, 1)
        return min(self.step / warmup, (steps + 1 - self.step) / (steps + 1 - warmup), 1)

    def save(self, path: Path) -> None:
        """Write a checkpoint."""
        progress = {"step": self.step, "loss": self.loss}
        save_checkpoint(path, self.weights, self.optimizer, progress, self.identity)

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint."""
        progress = load_checkpoint(path, self.weights, self.optimizer, self.identity)
        self.step, self.loss = progress["step"], progress["loss"]

    def about(self, corpus: Path, types_file: Optional[Path]) -> dict[str, Any]:
        """Describe what the adapter was trained on, for its card."""
        return {
            "backbone's SHA-256": self.identity["sha256"],
            "texts": f"{len(self.texts.places)} of {corpus}",
            "SHA-256 of the texts": self.texts.digest,
            "types": f"{len(self.types)} of {types_file or 'the labels'}",
            "mean loss at the end": f"{self.loss or 0:.3f}",
        }


def make_nlp(recipe: Recipe) -> Language:
    """Make a pipeline with the backbone."""
    nlp = spacy.blank("en")
    model = {
        "@architectures": "spacy_tommer.Backbone.v1",
        "name": recipe.backbone,
        "layers": [recipe.layer],
        "passes": recipe.passes,
        "window": WINDOW,
        "stride": STRIDE,
    }
    nlp.add_pipe("tommer_transformer", name="transformer", config={"model": model})
    return nlp
