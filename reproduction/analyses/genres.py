"""What a pipeline finds in each group of genres of OpenMentions' validation part, and how
many of its mentions have wrong borders."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import spacy
from spacy.language import Language
from spacy.tokens import Doc

import spacy_tommer
from spacy_tommer.decoding.borders import is_mark
from spacy_tommer.evaluation.counts import Scored, bin_edges
from spacy_tommer.evaluation.means import micro
from spacy_tommer.evaluation.protocol import (
    Place,
    add_batch,
    gold_places,
    written_spans,
)
from spacy_tommer.evaluation.tables import rpf, table
from spacy_tommer.files import write_text_aside

from ..corpora.genres import by_group, read_part

# Spans that a pipeline writes have the score 1.
SURE = 0.5
MENTIONS_OF = {"found": "Of the mentions found", "gold": "Of the gold mentions"}
FAULTS = ("crossing", "edges")


def score_genres(pipelines: list[str], output: Path) -> list[str]:
    """Score pipelines at their own thresholds, and write genres.json and genres.md.

    pipelines (list[str]): Names of shipped models, or folders of pipelines.
    output (Path): Folder to write.
    RETURNS (list[str]): The lines of genres.md.
    """
    passages = by_group(read_part("validation"))
    results = {
        name: measure_genres(spacy_tommer.load(name), passages) for name in pipelines
    }
    lines = [line for name, one in results.items() for line in describe(name, one)]
    output.mkdir(parents=True, exist_ok=True)
    content = json.dumps(results, indent=1, ensure_ascii=False) + "\n"
    write_text_aside(output / "genres.json", content)
    write_text_aside(output / "genres.md", "\n".join(lines) + "\n")
    return lines


def measure_genres(nlp: Language, passages: Mapping[str, Sequence[Doc]]) -> dict[str, Any]:
    """Score the mentions that a pipeline writes to doc.spans["mentions"].

    passages (Mapping[str, Sequence[Doc]]): The gold passages of each group.
    RETURNS (dict[str, Any]): "groups", the measures of each with its number of "passages";
        "all", those of all passages as one; and under "found" and "gold" the mentions
        whose borders `wrong_borders` lists, found or gold, with "mentions", their number.
    """
    sentences = spacy.blank("en")
    sentences.add_pipe("sentencizer")
    groups: dict[str, dict[str, Any]] = {}
    wrong: dict[str, dict[str, Any]] = {
        key: {"mentions": 0, **{fault: [] for fault in FAULTS}} for key in MENTIONS_OF
    }
    for name, gold in passages.items():
        docs, found = written_spans(nlp, [doc.text for doc in gold])
        scored = Scored(bin_edges([SURE]))
        add_batch((scored,), gold, docs, (found,))
        groups[name] = {"passages": len(gold), **scored.at(SURE)}
        for reference, doc, mentions in zip(gold, docs, found.by_doc()):
            borders = sentence_borders(doc.text, sentences)
            places = {"found": mentions.places(doc), "gold": list(gold_places(reference))}
            for key, some in places.items():
                wrong[key]["mentions"] += len(some)
                for fault, text in wrong_borders(doc.text, some, borders):
                    wrong[key][fault].append(text)
    return {"groups": groups, "all": micro(list(groups.values())), **wrong}


def sentence_borders(text: str, nlp: Language) -> list[int]:
    """Find the characters at which a sentence begins or a line ends.

    nlp (Language): A pipeline that sets sentence starts.
    """
    starts = [sentence.start_char for sentence in nlp(text).sents]
    return starts + [i for i, char in enumerate(text) if char in "\r\n"]


def wrong_borders(
    text: str, places: list[Place], borders: list[int]
) -> Iterator[tuple[str, str]]:
    """Find the mentions that no reader would mark so.

    places (list[Place]): Start and end (exclusive) of each mention, in characters.
    borders (list[int]): Characters at which a sentence begins or a line ends.
    YIELDS (tuple[str, str]): "crossing" and the text of a mention that goes on behind the
        end of a sentence; "edges" and that of one that begins or ends with a bracket,
        quote, comma, colon, semicolon or emoji.
    """
    for start, end in places:
        if any(start < border < end for border in borders):
            yield "crossing", text[start:end]
        if is_mark(text[start]) or is_mark(text[end - 1]):
            yield "edges", text[start:end]


def describe(name: str, result: Mapping[str, Any]) -> list[str]:
    """Write the table of a pipeline, and what is wrong with the borders of mentions."""
    rows = [
        [group, one["passages"], one["gold"], one["found"], *rpf(one)]
        for group, one in result["groups"].items()
    ]
    every = result["all"]
    passages = sum(one["passages"] for one in result["groups"].values())
    rows.append(["all", passages, every["gold"], every["found"], *rpf(every)])
    lines = [f"## {name}", ""]
    lines += table(["group", "passages", "gold", "found", "R", "P", "F1"], rows)
    for key, title in MENTIONS_OF.items():
        number, crossing, edges = (result[key][one] for one in ("mentions", *FAULTS))
        share = 100 * len(crossing) / max(number, 1)
        lines += [
            "",
            f"{title}, {number:,}, {len(crossing)} ({share:.2f} %) cross the end of a "
            f"sentence or line, and {len(edges)} begin or end with a bracket, quote, "
            "comma, colon, semicolon or emoji.",
        ]
    return [*lines, ""]
