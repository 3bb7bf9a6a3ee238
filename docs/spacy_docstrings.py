"""Read docstrings in spaCy's form (`name (type): text`, RETURNS) for the API pages."""

import re
from typing import Any

from griffe import Extension, Object

PARAMETER = re.compile(r"(?P<name>\w+) \((?P<type>.+?)\): (?P<text>.*)")
SECTION = re.compile(r"(?P<kind>RETURNS|YIELDS)(?: \((?P<type>.+?)\))?: (?P<text>.*)")
TITLES = {"RETURNS": "Returns", "YIELDS": "Yields"}


class SpacyDocstrings(Extension):
    """Rewrite each docstring in Google's form, which mkdocstrings reads."""

    def on_object(self, *, obj: Object, **kwargs: Any) -> None:
        """Rewrite the docstring of one object."""
        if obj.docstring is not None:
            obj.docstring.value = as_google(obj.docstring.value)


def as_google(docstring: str) -> str:
    """Turn lines of parameters and results into sections.

    docstring (str): A docstring in spaCy's form.
    RETURNS (str): The same in Google's form.
    """
    lines: list[str] = []
    section = ""
    for line in docstring.splitlines():
        if match := SECTION.fullmatch(line):
            section = TITLES[match["kind"]]
            kind = f"{match['type']}: " if match["type"] else ""
            lines += ["", f"{section}:", f"    {kind}{match['text']}"]
        elif match := PARAMETER.fullmatch(line):
            if section != "Args":
                lines += ["", "Args:"]
            section = "Args"
            lines.append(f"    {match['name']} ({match['type']}): {match['text']}")
        elif section and line.startswith(" "):
            lines.append(f"    {line}")
        else:
            section = ""
            lines.append(line)
    return "\n".join(lines)
