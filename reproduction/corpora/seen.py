"""Texts that were seen already, remembered by their hashes in a file, not in memory."""

import hashlib
import sqlite3


class SeenTexts:
    """Remember texts. They are kept in a temporary file, removed with the object."""

    def __init__(self) -> None:
        # SQLite makes a temporary file of its own if the name is empty.
        self.table = sqlite3.connect("", isolation_level=None)
        self.table.execute("CREATE TABLE seen (hash BLOB PRIMARY KEY) WITHOUT ROWID")
        self.table.execute("BEGIN")

    def add(self, text: str) -> bool:
        """Remember a text.

        RETURNS (bool): Whether it is new.
        """
        query = "INSERT OR IGNORE INTO seen VALUES (?)"
        return self.table.execute(query, (text_hash(text),)).rowcount == 1


def text_hash(text: str) -> bytes:
    """Hash a text.

    RETURNS (bytes): 16 bytes.
    """
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
