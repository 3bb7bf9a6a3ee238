"""Colours of labels: on the page, and in spaCy's displaCy."""

import re
from itertools import combinations

import numpy as np
import pytest
import spacy
from spacy import displacy
from spacy.tokens import Doc, Span

import spacy_tommer
from spacy_tommer.keys import KINDS, MENTION
from spacy_tommer.page.colors import COLORS, color_style, label_order

LABELS = [MENTION, *KINDS]

# From linear RGB to what eyes without one kind of cones see of it (Machado et al. 2009).
SIGHT = {
    "all cones": np.eye(3),
    "no red cones": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "no green cones": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "no blue cones": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
# From linear RGB to cones, and from their cube roots to Oklab, where distances are as seen.
CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
OKLAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def linear(color):
    """The linear RGB of a colour such as #8fd3c8."""
    parts = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def seen(color, sight):
    """A colour in Oklab, as it is seen."""
    return OKLAB @ np.cbrt(CONES @ np.clip(SIGHT[sight] @ linear(color), 0, 1))


@pytest.fixture
def doc():
    """A word with each label, and one with a label that has no colour."""
    labels = [*LABELS, "OTHER"]
    doc = Doc(spacy.blank("en").vocab, words=[f"w{i}" for i in range(len(labels))])
    doc.spans["mentions"] = [Span(doc, i, i + 1, label) for i, label in enumerate(labels)]
    doc.set_ents(list(doc.spans["mentions"]))
    return doc


@pytest.mark.parametrize("style", ["span", "ent"])
def test_displacy_has_a_color_for_each_label(doc, style):
    options = {"spans_key": "mentions"} if style == "span" else {}
    markup = displacy.render(doc, style=style, options=options, jupyter=False)
    found = {
        label: color
        for color, label in re.findall(
            r"background: (#\w+);[^>]*>(?:\s*w\d\s*<span[^>]*>)?\s*([A-Z]+)\s*<", markup
        )
    }
    assert found == {**spacy_tommer.COLORS, "OTHER": "#ddd"}
    assert list(spacy_tommer.COLORS) == LABELS


@pytest.mark.parametrize("label", LABELS)
def test_black_text_can_be_read(label):
    luminance = linear(COLORS[label]) @ [0.2126, 0.7152, 0.0722]
    assert (luminance + 0.05) / 0.05 >= 7


@pytest.mark.parametrize("sight", SIGHT)
def test_colors_can_be_told_apart(sight):
    pairs = [*combinations(LABELS, 2), *((kind, "OTHER") for kind in KINDS)]
    colors = {**COLORS, "OTHER": "#dddddd"}  # displaCy's, of labels without a colour
    distances = {
        (one, other): np.linalg.norm(seen(colors[one], sight) - seen(colors[other], sight))
        for one, other in pairs
    }
    # Five times the smallest difference that is seen.
    assert min(distances.values()) > 0.1, distances


def test_colors_of_labels_stay():
    assert color_style("") == ""
    assert color_style("TERM") == f"--kind: {COLORS['TERM']}"
    # The hue of a name is the same on every page and in every process.
    assert color_style("person") == "--hue: 358"
    assert color_style("Term") == "--hue: 259"


def test_order_of_labels():
    labels = ["person", "PHRASE", "", "Name", "NAME", "QUANTITY"]
    ordered = ["", "NAME", "QUANTITY", "PHRASE", "Name", "person"]
    assert sorted(labels, key=label_order) == ordered
