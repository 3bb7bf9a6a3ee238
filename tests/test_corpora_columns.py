"""Column files as they go around: counters, markers, comments, blanks and schemes."""

from functools import partial

import pytest
import spacy
from run_verb import run_verb
from spacy.tokens import DocBin, Span

from reproduction.corpora.bio import read_bio
from reproduction.corpora.borders import find_words
from reproduction.corpora.report import Report
from reproduction.corpora.tags import find_scheme
from reproduction.corpora.typed import read_typed

ANN = [("Ann Lee", "PER"), ("Oslo", "LOC")]


@pytest.fixture(scope="module")
def nlp():
    return spacy.blank("en")


@pytest.fixture
def read(tmp_path, nlp):
    """Return what `read_typed` makes of a text, and its report."""

    def read_text(text, reader=read_typed, **settings):
        path = tmp_path / "input.conll"
        path.write_text(text, "utf-8")
        report = Report(max_errors=0)
        docs = reader(path, nlp, report, **settings)
        found = [
            (doc.text, [(span.text, span.label_) for span in doc.spans["entities"]])
            for doc in docs
        ]
        return found, report

    return read_text


def rows(*sentences, sep="\t"):
    return "\n\n".join(
        "\n".join(sep.join(row) for row in zip(*map(str.split, columns)))
        for columns in sentences
    )


SENTENCES = [
    ("Ann Lee in Oslo", "B-PER I-PER O B-LOC"),
    ("Rain", "O"),
    ("In 1999", "O O"),
]
EXPECTED = [("Ann Lee in Oslo", ANN), ("Rain", []), ("In 1999", [])]


@pytest.mark.parametrize("counters", ["0 1 2 3|0|0 1", "1 2 3 4|1|1 2", "1 2 3 4|5|6 7"])
def test_a_first_column_that_counts_is_no_text(read, counters):
    numbered = zip(counters.split("|"), *zip(*SENTENCES))
    found, report = read(rows(*numbered))
    assert found == EXPECTED
    assert report.counts["file whose first column counts the tokens"] == 1
    assert "The first text as read: Ann Lee in Oslo" in report.summary()


def test_numbers_that_are_tokens_stay(read):
    scores = [("1 2 3", "O O B-X"), ("7", "O")]
    assert [text for text, _ in read(rows(*scores))[0]] == ["1 2 3", "7"]
    some = [("1 2", "N N", "O O"), ("Ann left", "N V", "B-PER O")]
    assert [text for text, _ in read(rows(*some))[0]] == ["1 2", "Ann left"]
    named = [("x y", "1 2", "B-PER O")]
    assert read(rows(*named), token=1)[0][0][0] == "1 2"


def test_docstart_markers_take_no_sentence_with_them(read):
    mark = "-DOCSTART-\t-X-\tO\n"
    one, two, three = ("\t_\t".join(["Ann", "B-PER"]), "he\t_\tO", "Bo\t_\tB-PER")
    text = f"{mark}{one}\nleft\t_\tO\n\n{mark}\n{two}\n{mark}{three}\n"
    expected = [("Ann left", [("Ann", "PER")]), ("he", []), ("Bo", [("Bo", "PER")])]
    assert read(text)[0] == expected
    assert read(text, partial(read_bio, tags=(2,)))[0] == expected


@pytest.mark.parametrize(
    "comment",
    [
        "# id 5b1d-77\tdomain=en",
        "# id 5b1d\tdomain=en-B",
        "# text = plan B",
        "#\thttp://example.org/a [2009-10-17]",
        "# newdoc",
        "#begin document (a); part 000",
    ],
)
def test_comments_are_known_by_their_form(read, comment):
    text = f"{comment}\nAnn _ _ B-PER\n\n{comment}\n#galway _ _ B-LOC\n# _ _ O\n1 _ _ O"
    expected = [("Ann", [("Ann", "PER")]), ("#galway # 1", [("#galway", "LOC")])]
    found, report = read(text)
    assert found == expected
    assert report.counts["comment line, left out"] == 2


@pytest.mark.parametrize("sep", [" ", "   ", "\t"])
@pytest.mark.parametrize("end", ["", " ", "\t\t", " \t "])
def test_blanks_between_and_after_columns(read, sep, end):
    text = rows(*SENTENCES, sep=sep).replace("\n", f"{end}\n") + end
    assert read(text)[0] == EXPECTED


def test_ragged_columns(read):
    text = "Ann    NNP  B-NP  B-PER\nLee    NNP  I-PER \nin O\nOslo\t_\t\tB-LOC\t"
    assert read(text)[0] == [("Ann Lee in Oslo", ANN)]


@pytest.mark.parametrize(
    "scheme, tags",
    [
        ("BIO", "B-PER I-PER O B-LOC B-LOC"),
        ("IOB1", "I-PER I-PER O I-LOC B-LOC"),
        ("BIOES", "B-PER E-PER O S-LOC S-LOC"),
        ("BILUO", "B-PER L-PER O U-LOC U-LOC"),
    ],
)
def test_schemes_are_recognised_for_the_file_and_told_once(read, scheme, tags, capsys):
    found, report = read(rows(*[("Ann Lee in Oslo Rome", tags)] * 12))
    assert found == [("Ann Lee in Oslo Rome", [*ANN, ("Rome", "LOC")])] * 12
    assert report.counts == {f"file with tags of the scheme {scheme}": 1}
    assert capsys.readouterr().err == ""


def test_a_few_defects_of_bio_are_no_iob1():
    assert find_scheme([["B-A", "I-A"]] * 9 + [["I-A"]]) == "BIO"
    assert find_scheme([["O"]]) is None


def test_nested_columns_share_their_labels(read):
    germeval = [("1 2", "Uni Bonn", "B-ORG I-ORG", "O B-LOC"), ("1", "Bonn", "B-LOC", "O")]
    found, _ = read("#\thttp://x [2009]\n" + rows(*germeval))
    assert found == [
        ("Uni Bonn", [("Uni Bonn", "ORG"), ("Bonn", "LOC")]),
        ("Bonn", [("Bonn", "LOC")]),
    ]
    chunks = [("Ann left", "NNP VBD", "B-NP B-VP", "B-PER O")]
    assert read(rows(*chunks))[0] == [("Ann left", [("Ann", "PER")])]


def test_files_without_blank_lines_get_a_hint(read, capsys):
    found, _ = read("Ann B-PER\nleft O\n" * 800)
    assert len(found) == 1
    error = capsys.readouterr().err
    assert "text of more than 1,000 tokens; a blank line ends a sentence" in error


def test_texts_that_nobody_annotated_are_left_out_and_told(nlp, tmp_path):
    docs = [nlp.make_doc("Ann left") for _ in range(4)]
    docs[0].set_ents([Span(docs[0], 0, 1, "PER")])
    docs[1].set_ents([])
    docs[2].spans["entities"] = []
    DocBin(docs=[*docs, nlp.make_doc("Owen moved")]).to_disk(tmp_path / "in.spacy")
    report = Report()
    found = list(read_typed(tmp_path / "in.spacy", nlp, report))
    assert [doc.text for doc in found] == ["Ann left"] * 3
    assert report.counts["text that is not annotated, left out"] == 2


def test_edges_without_text_are_cut_and_told(nlp, tmp_path):
    doc = nlp.make_doc("x\n Ann Lee\n y\u200b")
    ann = doc.char_span(3, 10)
    doc.spans["entities"] = [Span(doc, ann.start - 1, ann.end + 1, "PER")]
    DocBin(docs=[doc]).to_disk(tmp_path / "in.spacy")
    result = run_verb("convert", "typed", tmp_path / "in.spacy", tmp_path / "out")
    (path,) = (tmp_path / "out").glob("*.spacy")
    (found,) = DocBin().from_disk(path).get_docs(nlp.vocab)
    for spans in (found.spans["mentions"], found.spans["entities"], found.ents):
        assert [(span.text, span.label_) for span in spans] == [("Ann Lee", "PER")]
    assert "1 gold spans cut to their visible text" in result.stdout


@pytest.mark.parametrize(
    "text, string, found",
    [
        ("रामू ने राम को", "राम", ["राम"]),
        ("रामू", "राम", []),
        ("Rene met Rene\u0301 and Rene\u0301e", "Rene", ["Rene"]),
        ("Rene\u0301 left", "Rene\u0301", ["Rene\u0301"]),
        ("மரம் மர", "மர", ["மர"]),
        ("كتابُ كتاب", "كتاب", ["كتاب"]),
        ("שלום שלו", "שלו", ["שלו"]),
        ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\u0645\u06cc", []),
        ("the party of art", "art", ["art"]),
        ("the party", "art", []),
        ("Łódźka", "Łódź", []),
        ("한국어 한국", "한국", ["한국"]),
        ("我爱北京天安门", "北京", ["北京"]),
        ("กรุงเทพ", "กรุง", ["กรุง"]),
        ("in 5km", "5", ["5"]),
        ("John's", "John", ["John"]),
    ],
)
def test_no_string_is_found_inside_a_word(text, string, found):
    places, _ = find_words(text, string)
    assert [text[start:end] for start, end in places] == found
