"""Render mentions as HTML: as a page, in a notebook or inside another page."""

import html
from collections.abc import Iterable, Iterator
from pathlib import Path
from string import Template
from typing import Optional, Union

from spacy.language import Language
from spacy.tokens import Doc
from spacy.util import is_in_jupyter

from ..keys import MENTION
from .colors import COLORS
from .markup import get_bars, switch_markup, text_markup, token_markup

PAGE = Path(__file__).parent

# The outer element avoids a warning of IPython about markup that is only an iframe.
FRAME = Template(
    '<div><iframe title="Entity mentions" srcdoc="$page" '
    'style="width: 100%; height: 16rem; max-height: 44rem; border: 0"></iframe></div>'
)


def render(
    docs: Union[Doc, Iterable[Doc]],
    *,
    spans_key: str = "mentions",
    matches: Optional[Language] = None,
    page: bool = False,
    jupyter: Optional[bool] = None,
) -> Optional[str]:
    """Render the mentions of Docs with their scores, nested or flat, with a slider for the
    threshold and a switch for each label.

    docs (Union[Doc, Iterable[Doc]]): The Docs.
    spans_key (str): Key of the mentions in doc.spans. Their scores are
        doc.spans[spans_key].attrs["scores"]; without these, no threshold hides them.
        ValueError is raised if a Doc lacks the key.
    matches (Optional[Language]): A pipeline with a tommer component. With it, the values of
        tokens and the matches between ends and starts of spans (equations 1 and 2) are also
        computed and shown.
    page (bool): Return a whole page instead of markup to insert into one.
    jupyter (Optional[bool]): Whether to display the mentions in a notebook; by default it
        is detected whether one runs.
    RETURNS (Optional[str]): The markup; None if it was displayed.
    """
    docs = [docs] if isinstance(docs, Doc) else docs
    markup = "".join(page_parts(docs, spans_key, matches))
    displayed = is_in_jupyter() if jupyter is None else jupyter
    if page and not displayed:
        return markup
    # A frame separates styles and names from those of the surrounding page.
    frame = FRAME.substitute(page=html.escape(markup))
    if not displayed:
        return frame
    from IPython.display import HTML, display

    display(HTML(frame))
    return None


def page_parts(
    docs: Iterable[Doc], spans_key: str, matches: Optional[Language] = None
) -> Iterator[str]:
    """Make the page of a stream of Docs, part by part. The Docs are not kept.

    docs (Iterable[Doc]): The Docs.
    spans_key (str): Key of the mentions in doc.spans.
    matches (Optional[Language]): A pipeline whose matches and token values are shown.
    YIELDS (str): The next part of the page.
    """
    source = (PAGE / "page.html").read_text("utf-8")
    head, _, tail = source.partition("$texts")
    css, script = ((PAGE / name).read_text("utf-8") for name in ("page.css", "page.js"))
    yield Template(head).substitute(css=css, color=COLORS[MENTION])
    types: set[str] = set()
    for number, doc in enumerate(docs, start=1):
        bars = get_bars(doc, spans_key)
        types.update(bar.listed.type for bar in bars)
        yield f'<article aria-label="Text {number}">\n{text_markup(doc, bars)}\n'
        if matches is not None:
            # Only this needs transformers, which takes seconds to import.
            from .matches import find_matches

            yield token_markup(doc, *find_matches(matches, doc)) + "\n"
        yield "</article>\n"
    yield Template(tail).substitute(script=script, switches=switch_markup(types))
