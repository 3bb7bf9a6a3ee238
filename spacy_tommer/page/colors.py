"""Colours of labels, for the page and for spaCy's displaCy."""

from zlib import crc32

from ..keys import MENTION, NAME, PHRASE, QUANTITY, TERM

# displaCy writes black text on these, with a contrast of 7 or more. Any two have a
# CIEDE2000 distance of 14 or more, also for eyes without red, green or blue cones (as
# simulated by Machado et al. 2009), and so have the kinds and displaCy's #ddd for labels
# without a colour. The one that displaCy has for QUANTITY is replaced: its bars can hardly
# be seen on white.
COLORS = {
    MENTION: "#8fd3c8",
    NAME: "#6592ff",
    TERM: "#d08451",
    QUANTITY: "#f0c637",
    PHRASE: "#a38fb0",
}


def color_style(label: str) -> str:
    """Return the CSS declaration of the colour of a label: that of displaCy for a kind, and
    otherwise a hue; nothing for the empty label of plain mentions.

    label (str): The label.
    RETURNS (str): The declaration.
    """
    if label in COLORS:
        return f"--kind: {COLORS[label]}"
    return f"--hue: {hue_of(label)}" if label else ""


def hue_of(label: str) -> int:
    """Choose the colour of a label, the same on every page.

    RETURNS (int): A hue in degrees.
    """
    return crc32(label.encode("utf-8")) * 137 % 360


def label_order(label: str) -> tuple[int, str]:
    """Return the sort key of labels: plain mentions, kinds, and the others by name."""
    known = ["", *COLORS]
    return (known.index(label) if label in known else len(known)), label
