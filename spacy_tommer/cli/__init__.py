"""The command line `python -m spacy tommer`: find mentions, list models, score pipelines,
choose thresholds, and manage cached states."""

import typer
from spacy.cli._util import app as spacy_app

from .cache import cache
from .errors import Commands
from .evaluate import evaluate
from .find import find
from .models import models
from .thresholds import thresholds

app = typer.Typer(
    cls=Commands,
    name="tommer",
    help="Entity mentions without labels, prompts or generation.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(find)
app.command()(models)
app.command()(evaluate)
app.command()(thresholds)
app.command()(cache)

# spaCy imports this module through its entry point when its command line starts.
spacy_app.add_typer(app, name="tommer")
