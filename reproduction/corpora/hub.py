"""Read the records of a data set on the Hugging Face hub."""

from collections.abc import Iterator

from .records import Record


def hub_records(name: str) -> Iterator[tuple[int, Record]]:
    """Read the training part of a data set, one record at a time. No code of its own is
    run.

    name (str): Name of the data set.
    YIELDS (tuple[int, Record]): The number of a record, from 1, and the record.
    RAISES (ImportError): If the package `datasets` is missing.
    RAISES (ValueError): If there is neither such a file nor such a data set.
    """
    try:
        from datasets import load_dataset
    # Versions of it that do not fit the installed pyarrow fail with an AttributeError.
    except (ImportError, AttributeError) as error:
        raise ImportError(
            f"There is no file {name!r}. To read a data set of this name from the Hugging "
            'Face hub, run: pip install --upgrade "spacy-tommer[datasets]"'
        ) from error
    try:
        records = load_dataset(name, split="train")
    except Exception as error:
        raise ValueError(
            f"There is no file {name!r}, and the Hugging Face hub gave no data set of "
            f"this name ({type(error).__name__}: {error})."
        ) from error
    yield from enumerate(records, 1)
