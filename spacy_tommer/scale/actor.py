"""A function with a loaded pipeline for the engines of others, such as Ray Data."""

from pathlib import Path
from typing import Any, Optional, Union

import torch

from ..pipelines import load
from .extras import need
from .job import MAX_CHARS
from .parquet import check_text_type, texts_of
from .rows import as_row, check_column
from .tables import mentions_of, mentions_type
from .worker import annotate_rows


class MentionActor:
    """Add mentions to batches of a table, for `ray.data.Dataset.map_batches` and the like.
    It computes with one thread.

    model (Union[str, Path]): Name of a shipped model, or folder of a pipeline, which each
        actor loads. On many machines, let it be on storage that all of them read.
    text (str): Column of the texts.
    thresholds (Optional[str]): Name of a pair of thresholds, as for `spacy_tommer.load`.
    max_chars (int): Most characters of a text. A longer one is a bad row.
    """

    def __init__(
        self,
        model: Union[str, Path] = "minilm",
        text: str = "text",
        *,
        thresholds: Optional[str] = None,
        max_chars: int = MAX_CHARS,
    ) -> None:
        torch.set_num_threads(1)
        self.nlp = load(model, thresholds=thresholds)
        self.nlp.max_length = max(self.nlp.max_length, max_chars)
        self.spans_key = self.nlp.get_pipe("tommer").spans_key
        self.text = text
        self.max_chars = max_chars

    def __call__(self, batch: Any) -> Any:
        """Find the mentions of a batch.

        batch (Any): A `pyarrow.Table`. ValueError is raised if it lacks the column of the
            texts, or if that does not hold strings.
        RETURNS (Any): The same with two more columns: `mentions`, and `error`, which tells
            what is wrong with a bad row.
        """
        pa = need("pyarrow", "parquet")
        check_column("The batch", self.text, batch.column_names)
        column = batch.column(self.text)
        check_text_type("the batch", self.text, column.type)
        texts = [text for chunk in column.chunks for text in texts_of(chunk)]
        rows = [as_row(None, text, self.max_chars) for text in texts]
        mentions = [
            [] if doc is None else mentions_of(doc, self.spans_key)
            for _, doc in annotate_rows(self.nlp, rows)
        ]
        errors = pa.array([row.error for row in rows], pa.string())
        batch = batch.append_column("mentions", pa.array(mentions, mentions_type()))
        return batch.append_column("error", errors)
