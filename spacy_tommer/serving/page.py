"""The page of the server: the look of `render`'s page, fed by events."""

import json
from pathlib import Path
from string import Template

from spacy.language import Language

from ..keys import MENTION
from ..page.colors import COLORS, color_style
from ..page.render import PAGE
from ..streaming.components import find_tommer

LIVE = Path(__file__).parent


def make_page(nlp: Language, writes: bool) -> str:
    """Make the page. It needs nothing from other servers.

    nlp (Language): The pipeline.
    writes (bool): Whether there is a model that writes.
    RETURNS (str): The page.
    """
    names = find_tommer(nlp).label_names
    styles = {name: color_style(name) for name in names if name != MENTION}
    page = Template((LIVE / "live.html").read_text("utf-8"))
    return page.substitute(
        color=COLORS[MENTION],
        css=(PAGE / "page.css").read_text("utf-8"),
        live_css=(LIVE / "live.css").read_text("utf-8"),
        script=(LIVE / "live.js").read_text("utf-8"),
        # The end of a script element is found before its JSON is read.
        styles=json.dumps(styles).replace("<", "\\u003c"),
        hidden="" if writes else "hidden",
    )
