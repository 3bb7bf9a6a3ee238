"""The `tommer_cleaner` component, which drops hidden states."""

from spacy.language import Language
from spacy.tokens import Doc


@Language.factory("tommer_cleaner")
def make_cleaner(nlp: Language, name: str) -> "Cleaner":
    """Construct a component that drops the hidden states of each Doc, and nothing else.

    It moves to the end of the pipeline when a component is added after it, since components
    that read hidden states must precede it.
    """
    return Cleaner(nlp, name)


class Cleaner:
    """Drop `doc._.trf_data`. spaCy's doc_cleaner would also drop `doc.tensor`, which
    `token.vector` and `span.as_doc()` need.

    nlp (Language): The pipeline, at whose end the component stays.
    name (str): Name of the component in the pipeline.
    """

    def __init__(self, nlp: Language, name: str) -> None:
        self.nlp = nlp
        self._name = name

    @property
    def name(self) -> str:
        """Name of the component in its pipeline."""
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        # spaCy sets the names of all components when the pipeline changes.
        self._name = name
        components = self.nlp._components
        place = next((i for i, (_, pipe) in enumerate(components) if pipe is self), None)
        if place is not None and place < len(components) - 1:
            components.append(components.pop(place))
            for other, pipe in components[place:-1]:
                if hasattr(pipe, "name"):
                    pipe.name = other

    def __call__(self, doc: Doc) -> Doc:
        """Drop the hidden states of a Doc, and return the same Doc."""
        if Doc.has_extension("trf_data"):
            doc._.trf_data = None
        return doc
