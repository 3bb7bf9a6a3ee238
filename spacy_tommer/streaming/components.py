"""The components of a pipeline that a stream runs."""

from spacy.language import Language
from spacy_transformers import Transformer

from ..component import Tommer


def find_tommer(nlp: Language) -> Tommer:
    """Find the component that finds mentions.

    nlp (Language): The pipeline.
    RETURNS (Tommer): The component. ValueError is raised if there is none, if its head
        reads attention, or if a component before it has a part in what it writes.
    """
    if not isinstance(nlp, Language):
        raise ValueError(f"`nlp` is a pipeline of spaCy, and not {nlp!r}.")
    for name, pipe in nlp.pipeline:
        if isinstance(pipe, Tommer):
            check_head(pipe)
            return pipe
        meta = nlp.get_pipe_meta(name)
        if meta.retokenizes or "doc.ents" in meta.assigns:
            raise ValueError(
                f"{name!r} writes entities or merges tokens before tommer does, and a "
                "stream runs only the transformer and tommer. Disable it: "
                f"nlp.disable_pipe({name!r})"
            )
    raise ValueError(
        "The pipeline has no component that finds mentions, or it is disabled. Add one: "
        'spacy_tommer.add(nlp, "smollm2")'
    )


def check_head(tommer: Tommer) -> None:
    """Raise ValueError for a head that reads attention."""
    attrs = tommer.model.attrs
    if attrs["attention"] is not None:
        raise ValueError(
            f"The head of the pipeline matches by attention ({attrs['matching']}), and a "
            "stream reads states only. Use a head with the matching spacy_tommer.ToM.v1."
        )


def find_transformer(nlp: Language, tommer: Tommer) -> Transformer:
    """Find the transformer whose states the component reads.

    nlp (Language): The pipeline.
    tommer (Tommer): The component that finds mentions.
    RETURNS (Transformer): The last one before it. ValueError is raised if there is none.
    """
    pipes = [pipe for _, pipe in nlp.pipeline]
    for pipe in reversed(pipes[: pipes.index(tommer)]):
        if isinstance(pipe, Transformer):
            return pipe
    raise ValueError(
        "The pipeline has no transformer before tommer, or it is disabled. Load it with "
        'both: spacy_tommer.load("smollm2")'
    )
