"""Read Pile-NER as it is published: conversations that state a text, and then for each
type of entity ask for a list of strings.

A record without a text is left out as a whole. An answer that is no list in JSON is left
out, its text stays."""

import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Optional

from spacy.language import Language
from spacy.tokens import Doc

from .borders import find_words
from .gold import Entity, gold_text
from .records import Record
from .report import Place, Report
from .seen import SeenTexts, text_hash

TEXT = "Text: "
QUESTION = re.compile(r"What describes (.*) in the text\?", re.DOTALL)
# Type of entity, and its strings.
Answer = tuple[str, list[str]]


def read_conversations(
    begin: Callable[[Report], Iterator[tuple[int, Record]]],
    place: Place,
    nlp: Language,
    report: Report,
) -> Iterator[Doc]:
    """Read conversations. Records that share a text become one Doc, wherever they stand:
    they are read twice, first to count the texts that return.

    begin (Callable[[Report], Iterator[tuple[int, Record]]]): Begin to read the records,
        with their lines.
    place (Place): Where they come from, for messages.
    nlp (Language): The pipeline whose tokenizer is used.
    report (Report): Where broken records and dropped strings are counted.
    YIELDS (Doc): A text with its gold mentions.
    """
    seen = SeenTexts()
    left: Counter[bytes] = Counter()
    for _, record in begin(Report(max_errors=sys.maxsize, shown=0)):
        text = conversation_text(record)
        if text is not None and not seen.add(text):
            left[text_hash(text)] += 1
    waiting: dict[bytes, list[Answer]] = {}
    for line, record in begin(report):
        text = conversation_text(record)
        if text is None:
            report.error("conversation without a text", place, line)
            continue
        key = text_hash(text)
        answers = waiting.pop(key, [])
        answers.extend(conversation_answers(record, place, line, report))
        if left[key] > 0:
            left[key] -= 1
            waiting[key] = answers
            continue
        del left[key]
        yield gold_text(nlp, text, occurrences(text, answers, report), report)


def conversation_text(record: Record) -> Optional[str]:
    """Find the text of a conversation.

    RETURNS (Optional[str]): The text, or None if the record is not a conversation.
    """
    turns = record.get("conversations")
    if not isinstance(turns, list) or not turns:
        return None
    if not all(isinstance(t, dict) and isinstance(t.get("value"), str) for t in turns):
        return None
    first = turns[0]["value"]
    return first[len(TEXT) :] if first.startswith(TEXT) else None


def conversation_answers(
    record: Record, place: Place, line: int, report: Report
) -> Iterator[Answer]:
    """Find the answers of a conversation.

    place (Place): Where it comes from.
    report (Report): Where answers are counted that are left out.
    YIELDS (Answer): A type and its strings.
    """
    turns = [turn["value"] for turn in record["conversations"]]
    for question, answer in pairwise(turns):
        if not (match := QUESTION.fullmatch(question.strip())):
            continue
        try:
            strings = json.loads(answer)
        except json.JSONDecodeError:
            strings = None
        if isinstance(strings, list) and all(isinstance(s, str) for s in strings):
            yield match[1], strings
        else:
            kind = "answer that is no JSON list of strings"
            report.error(kind, place, line, f" ({match[1]}: {answer[:40]!r})")


def occurrences(text: str, answers: list[Answer], report: Report) -> Iterator[Entity]:
    """Find all places where the strings of the answers stand in a text, as `find_words`
    does it.

    answers (list[Answer]): Types and strings.
    report (Report): Where strings are counted that are not in the text.
    YIELDS (Entity): Start and end (exclusive) in characters, and type.
    """
    for label, strings in answers:
        for string in map(str.strip, strings):
            if not string or string not in text:
                report.count("string dropped that is not in its text")
                continue
            found, whole = find_words(text, string)
            if not found:
                report.count("string dropped that stands inside words only")
            elif not whole:
                report.count("string found beside letters, digits or marks of a word only")
            for start, end in found:
                yield start, end, label
