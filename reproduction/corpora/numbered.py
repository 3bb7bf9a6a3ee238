"""Read JSON records of tokens and numbered tags, as on the Hugging Face hub. A broken
record is left out as a whole.

The numbers are those of the data sets Babelscape/wikineural, Babelscape/multinerd,
DFKI-SLT/fabner and tner/ontonotes5.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from spacy.language import Language
from spacy.tokens import Doc

from .gold import gold_doc
from .records import read_records
from .report import Broken, Report
from .tags import REPAIRED, tag_spans


def number_tags(types: str, prefixes: str) -> tuple[str, ...]:
    """List the tags of a set, type by type.

    types (str): The types, separated by spaces.
    prefixes (str): The prefixes that each type has.
    RETURNS (tuple[str, ...]): The tags; the first is O.
    """
    return ("O", *(f"{prefix}-{name}" for name in types.split() for prefix in prefixes))


WIKINEURAL = number_tags("PER ORG LOC MISC", "BI")
MULTINERD = number_tags(
    "PER ORG LOC ANIM BIO CEL DIS EVE FOOD INST MEDIA MYTH PLANT TIME VEHI", "BI"
)
FABNER = number_tags(
    "MATE MANP MACEQ APPL FEAT PRO CHAR PARA ENAT CONPRI MANS BIOP", "BIES"
)
ONTONOTES_TAGS = (
    "O B-CARDINAL B-DATE I-DATE B-PERSON I-PERSON B-NORP B-GPE I-GPE B-LAW I-LAW B-ORG "
    "I-ORG B-PERCENT I-PERCENT B-ORDINAL B-MONEY I-MONEY B-WORK_OF_ART I-WORK_OF_ART "
    "B-FAC B-TIME I-CARDINAL B-LOC B-QUANTITY I-QUANTITY I-NORP I-LOC B-PRODUCT I-TIME "
    "B-EVENT I-EVENT I-FAC B-LANGUAGE I-PRODUCT I-ORDINAL I-LANGUAGE"
)
ONTONOTES = tuple(ONTONOTES_TAGS.split())


def read_numbered(
    path: Path, nlp: Language, report: Report, *, tags: Sequence[str]
) -> Iterator[Doc]:
    """Read a file of records that have "tokens" and either "ner_tags" or "tags". Those
    whose "lang" is another language than English are dropped.

    nlp (Language): Pipeline whose vocabulary the Docs get.
    report (Report): Where broken and dropped records are counted.
    tags (Sequence[str]): The tag of each number.
    YIELDS (Doc): A sentence with its gold mentions.
    """
    for line, record in read_records(path, report):
        with report.skipping(path, line):
            if record.get("lang", "en") != "en":
                report.count("record dropped that is not English")
                continue
            words = record["tokens"]
            numbers = record["ner_tags"] if "ner_tags" in record else record["tags"]
            if len(words) != len(numbers):
                raise Broken("record with more or fewer tags than tokens")
            for number in numbers:
                if not 0 <= number < len(tags):
                    kind = "record with a tag number that its set does not have"
                    raise Broken(kind, detail=f" ({number})")
            entities, repaired = tag_spans([tags[number] for number in numbers])
            for i in repaired:
                report.note(REPAIRED, path, line, f" (token {i + 1})")
            yield gold_doc(nlp.vocab, words, entities)
