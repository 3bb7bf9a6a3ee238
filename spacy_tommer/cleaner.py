"""The `tommer_cleaner` component: drops hidden states, which are large."""

from spacy.language import Language
from spacy.tokens import Doc


@Language.factory("tommer_cleaner")
def make_cleaner(nlp: Language, name: str) -> "Cleaner":
    """Construct a component that drops the hidden states of each Doc, and nothing else.

    It moves to the end of the pipeline whenever a component is added after it, since those
    that read hidden states must stand before it.
    """
    return Cleaner(nlp, name)


class Cleaner:
    """Pipeline component that drops `doc._.trf_data`. spaCy's doc_cleaner would drop
    `doc.tensor`, too, without which `token.vector` and `span.as_doc()` fail.

    nlp (Language): The pipeline whose end it keeps to.
    name (str): Name of the component there.
    """

    def __init__(self, nlp: Language, name: str) -> None:
        self.nlp = nlp
        self._name = name

    @property
    def name(self) -> str:
        """RETURNS (str): Name of the component in its pipeline."""
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        # spaCy sets the names of all components whenever the pipeline has changed.
        self._name = name
        components = self.nlp._components
        place = next((i for i, (_, pipe) in enumerate(components) if pipe is self), None)
        if place is not None and place < len(components) - 1:
            components.append(components.pop(place))
            for other, pipe in components[place:-1]:
                if hasattr(pipe, "name"):
                    pipe.name = other

    def __call__(self, doc: Doc) -> Doc:
        """Drop the hidden states of a Doc.

        doc (Doc): The Doc.
        RETURNS (Doc): The same Doc.
        """
        if Doc.has_extension("trf_data"):
            doc._.trf_data = None
        return doc
