"""README, the pages of docs/ and what goes with them: they are true, and their links lead
somewhere."""

import contextlib
import io
import json
import re
import shlex
import subprocess
import sys
from importlib.metadata import distribution
from inspect import signature
from itertools import pairwise
from pathlib import Path

import pytest
import spacy
from conftest import needs_minilm, needs_smollm2
from spacy.cli._util import app as spacy_cli
from spacy.language import Language
from spacy.training import Example
from thinc.api import Config
from typer.main import get_command
from typer.testing import CliRunner

import spacy_tommer
from reproduction.__main__ import app as reproduction_app
from spacy_tommer.__main__ import app as find_app
from spacy_tommer.cli import app as spacy_app

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
READ_BY_PEOPLE = [*PAGES, *map(ROOT.joinpath, ("README.md", "CONTRIBUTING.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)")
FOREIGN = ("https://", "http://")
PLACE = "https://github.com/spacy-tommer/spacy-tommer/"


def blocks(path: Path) -> list[tuple[str, str]]:
    """List the code blocks of a page: language and text."""
    return BLOCK.findall(path.read_text("utf-8"))


def anchors(path: Path) -> set[str]:
    """List the anchors of a page's headings."""
    titles = re.findall(r"^#+ (.*)$", path.read_text("utf-8"), re.MULTILINE)
    return {
        re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", title.lower()).strip())
        for title in titles
    }


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", READ_BY_PEOPLE, ids=name_of)
def test_links_lead_somewhere(page):
    for target, anchor in LINK.findall(page.read_text("utf-8")):
        if target.startswith(PLACE):
            path = ROOT / re.sub(r"^(blob|tree)/main/", "", target.removeprefix(PLACE))
        elif target.startswith(FOREIGN):
            continue
        else:
            path = (page.parent / target).resolve() if target else page
        assert path.exists(), target
        if anchor and path.suffix == ".md":
            assert anchor in anchors(path), (target, anchor)


@pytest.mark.parametrize(
    "page",
    [
        pytest.param("README.md", marks=needs_minilm),
        pytest.param("docs/first-steps.md", marks=needs_minilm),
        pytest.param("docs/streams.md", marks=needs_smollm2),
    ],
)
def test_python_prints_what_the_page_shows(page):
    found = blocks(ROOT / page)
    names: dict = {}
    shown = 0
    for (language, code), (next_language, text) in zip(found, [*found[1:], ("", "")]):
        if language == "python":
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                exec(code, names)
            if printed.getvalue():
                assert next_language == ""
                assert printed.getvalue() == text
                shown += 1
    assert shown >= 2


@needs_minilm
@pytest.mark.parametrize("page", ["README.md", "docs/command-line.md"])
def test_command_prints_what_the_page_shows(page):
    found = blocks(ROOT / page)
    (command, text) = next(
        (code, text)
        for (_, code), (_, text) in pairwise(found)
        if "-m spacy_tommer" in code and text.strip()
    )
    arguments = shlex.split(command.rpartition("-m spacy_tommer ")[2])
    done = CliRunner().invoke(find_app, arguments)
    assert rounded(done.output) == rounded(text)


def rounded(text: str) -> str:
    """Leave out the digits of scores that depend on the processor."""
    return re.sub(r"(0\.\d{3})\d+", r"\1", text)


@needs_minilm
def test_the_readme_s_config_is_assembled(tmp_path):
    config = next(text for lang, text in blocks(ROOT / "README.md") if lang == "ini")
    (tmp_path / "config.cfg").write_text(config, encoding="utf-8")
    places = [str(tmp_path / name) for name in ("config.cfg", "folder")]
    assert CliRunner().invoke(spacy_cli, ["assemble", *places]).exit_code == 0
    nlp = spacy.load(tmp_path / "folder")
    text = "John lives in New York City."
    assert [ent.text for ent in nlp(text).ents] == ["John", "New York City"]


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 160


def tables(title: str, level: str) -> dict[str, str]:
    """Read the settings under a heading of settings.md: defaults by name."""
    page = (ROOT / "docs" / "settings.md").read_text("utf-8")
    part = page.partition(f"\n{level} {title}\n")[2]
    assert part, title
    part = re.split(r"^##", part, maxsplit=1, flags=re.MULTILINE)[0]
    rows = re.findall(r"^\| `(\w+)`[^|]*\|[^|]*\| ([^|]*)\|", part, re.MULTILINE)
    return {name: default.strip().strip("`") for name, default in rows}


def written(value) -> str:
    """Write a default as the tables do."""
    if isinstance(value, dict) and value:
        return next(name for key, name in value.items() if key.startswith("@"))
    if isinstance(value, tuple):
        return json.dumps(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f'"{value}"' if isinstance(value, str) else str(value)


@pytest.mark.parametrize(
    "factory", ["tommer", "tommer_transformer", "tommer_zeroshot", "tommer_ents"]
)
def test_settings_of_components(factory):
    defaults = Language.get_factory_meta(factory).default_config
    expected = {}
    for name, value in defaults.items():
        expected[name] = written(value)
    rows = tables(factory, "##")
    if factory == "tommer_zeroshot":  # the table of its model stands behind its own
        rows = {name: rows[name] for name in rows if name in expected}
    assert rows == expected


@pytest.mark.parametrize(
    ("title", "level", "registry", "name"),
    [
        ("spacy_tommer.Tommer.v1", "###", "architectures", "spacy_tommer.Tommer.v1"),
        ("spacy_tommer.Backbone.v1", "###", "architectures", "spacy_tommer.Backbone.v1"),
        ("spacy_tommer.CachedCorpus.v1", "##", "readers", "spacy_tommer.CachedCorpus.v1"),
    ],
)
def test_settings_of_functions(title, level, registry, name):
    parameters = signature(spacy.registry.get(registry, name)).parameters.values()
    expected = {
        parameter.name: "" if parameter.default is parameter.empty else parameter.default
        for parameter in parameters
    }
    rows = tables(title, level)
    assert set(rows) == set(expected)
    for setting, default in expected.items():
        if setting != "matching":
            assert rows[setting] == (default if default == "" else written(default))


def test_registered_names_are_documented():
    pages = "".join(page.read_text("utf-8") for page in PAGES)
    entries = distribution("spacy-tommer").entry_points
    named = [entry for entry in entries if entry.group != "spacy_displacy_colors"]
    names = {entry.name for entry in named}
    assert len(names) > 15
    assert not [name for name in names if name not in pages]


def test_commands_are_documented():
    page = (ROOT / "docs" / "command-line.md").read_text("utf-8")
    for name in get_command(spacy_app).commands:
        assert f"| `{name}" in page
    find = get_command(spacy_app).commands["find"]
    for parameter in find.params:
        for option in parameter.opts:
            assert not option.startswith("-") or f"`{option}`" in page, option
    page = (ROOT / "docs" / "reproduction" / "index.md").read_text("utf-8")
    for name in get_command(reproduction_app).commands:
        assert f"| `{name}` |" in page


def test_workflows_are_documented():
    project = (ROOT / "project.yml").read_text("utf-8")
    part = project.partition("\nworkflows:\n")[2].partition("\ncommands:")[0]
    names = re.findall(r"^  ([\w-]+):", part, re.MULTILINE)
    page = (ROOT / "docs" / "reproduction" / "index.md").read_text("utf-8")
    assert len(names) > 5
    assert not [name for name in names if f"| `{name}` |" not in page]


def test_files_that_contributing_names_exist():
    page = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    named = re.findall(r"`((?:spacy_tommer|reproduction|docs)/[\w/.]+)`", page)
    named += [f"tests/{name}" for name in re.findall(r"`(test_\w+\.py)`", page)]
    assert len(named) > 15
    for name in named:
        if "NAME" not in name:
            assert (ROOT / name).exists(), name


def test_one_version_everywhere():
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"\nversion: {spacy_tommer.__version__}\n" in citation
    changes = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert changes.partition("## [")[2].startswith(spacy_tommer.__version__)


def test_a_matching_score_and_a_decoder_of_ones_own(tiny, tmp_path):
    code = [
        text for lang, text in blocks(ROOT / "docs" / "choosing.md") if lang == "python"
    ]
    names: dict = {"__name__": "my_package"}
    for text in code:
        exec(text, names)
    nlp = spacy.blank("en")
    backbone = {"@architectures": "spacy_tommer.Backbone.v1", "name": str(tiny("llama"))}
    config = {"model": {**backbone, "layers": [1]}}
    nlp.add_pipe("tommer_transformer", "transformer", config=config)
    config = {
        "model": {"matching": {"@layers": "my_package.Dot.v1", "rank": 4}},
        "decoder": {"@misc": "my_package.longest.v1"},
        "threshold": 0.0,
        "flat_threshold": 0.0,
    }
    nlp.add_pipe("tommer", config=config)
    gold = nlp.make_doc("the red door of the house")
    gold.spans["mentions"] = [gold[1:3]]
    nlp.initialize(lambda: [Example(nlp.make_doc(gold.text), gold)])
    doc = nlp(gold.text)
    assert [ent.text for ent in doc.ents] == [gold.text]
    assert len(doc.spans["mentions"]) == 21
    nlp.to_disk(tmp_path / "nlp")
    again = spacy.load(tmp_path / "nlp")(gold.text)
    assert again.spans["mentions"].attrs == doc.spans["mentions"].attrs


def test_configs_of_the_pages_are_read():
    for page in PAGES:
        for lang, text in blocks(page):
            if lang == "ini":
                sections = re.findall(r"^\[(.+)\]$", text, re.MULTILINE)
                parents = {part.rpartition(".")[0] for part in sections}
                head = "".join(
                    f"[{parent}]\n"
                    for parent in sorted({p for q in parents for p in ancestors(q)})
                    if parent not in sections
                )
                assert Config().from_str(head + text, interpolate=False)["components"]


def ancestors(section: str) -> list[str]:
    """List a section and those that it stands in."""
    parts = section.split(".") if section else []
    return [".".join(parts[: i + 1]) for i in range(len(parts))]


def test_the_pages_are_built(tmp_path):
    pytest.importorskip("mkdocs", reason="mkdocs is not installed")
    pytest.importorskip("mkdocstrings", reason="mkdocstrings is not installed")
    pytest.importorskip("material", reason="mkdocs-material is not installed")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert built.returncode == 0, built.stderr
    api = (tmp_path / "api" / "index.html").read_text("utf-8")
    assert "spacy_tommer.load" in api and "Name of a shipped model" in api
    assert "RETURNS" not in api and "YIELDS" not in api
