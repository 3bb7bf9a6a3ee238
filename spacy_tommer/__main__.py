"""Print the mentions of texts: python -m spacy_tommer "John lives in New York City." """

import typer

from .cli.find import find

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
app.command()(find)

if __name__ == "__main__":
    app(prog_name="python -m spacy_tommer")
