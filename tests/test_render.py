"""The page of mentions: its markup, and how it works in a browser."""

import random
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
import spacy
import torch
from spacy.tokens import Doc, DocBin, Span, SpanGroup
from thinc.api import fix_random_seed

import spacy_tommer
from spacy_tommer.decoding.decode import greedy_decode
from spacy_tommer.head.model import get_head, read
from spacy_tommer.keys import KINDS
from spacy_tommer.page.colors import COLORS
from spacy_tommer.page.listing import list_spans
from spacy_tommer.page.markup import stack
from spacy_tommer.page.matches import find_matches

VOCAB = spacy.blank("en").vocab


def make_doc(words, places=(), scores=None, spaces=None, label="MENTION"):
    doc = Doc(VOCAB, words=words, spaces=spaces)
    spans = [Span(doc, start, end, label=label) for start, end in places]
    attrs = {} if scores is None else {"scores": list(scores)}
    doc.spans["mentions"] = SpanGroup(doc, name="mentions", attrs=attrs, spans=spans)
    return doc


def label_doc(words, places, scores=None):
    """A Doc whose mentions have labels: start, end (exclusive) and label."""
    doc = make_doc(words, [place[:2] for place in places], scores)
    spans = [Span(doc, *place) for place in places]
    attrs = doc.spans["mentions"].attrs
    doc.spans["mentions"] = SpanGroup(doc, name="mentions", attrs=attrs, spans=spans)
    return doc


def random_doc(seed, length=40, count=70, labels=("MENTION",)):
    """Overlapping mentions of up to six tokens, many with the same score."""
    rng = random.Random(seed)
    places = {
        (start, min(length, start + rng.randint(1, 6)))
        for start in (rng.randrange(length) for _ in range(count))
    }
    scores = [rng.choice([0.104, 0.3, 0.5, 0.5, 0.71, rng.random()]) for _ in places]
    labelled = [(*place, rng.choice(labels)) for place in sorted(places)]
    doc = label_doc([f"w{i}" for i in range(length)], labelled, scores)
    starts, ends = np.array(sorted(places)).T
    picked = greedy_decode(starts, ends, np.array(scores), np.ones(length, dtype="bool"))
    doc.set_ents([doc.spans["mentions"][i] for i in picked.tolist()])
    return doc


def shown_by_python(doc, threshold, flat, off=()):
    """What the page has to show: starts, ends (exclusive) and scores. Some labels are
    switched off."""
    group = doc.spans["mentions"]
    lowest = np.floor(min(group.attrs["scores"]) * 100) / 100
    ents = {(ent.start, ent.end) for ent in doc.ents}
    return sorted(
        (span.start, span.end, score)
        for span, score in zip(group, group.attrs["scores"])
        if (score > threshold or threshold <= lowest)
        and (not flat or (span.start, span.end) in ents)
        and span.label_ not in off
    )


class Page(HTMLParser):
    """Read the texts and the mentions of a page as a browser does."""

    def __init__(self, markup):
        super().__init__()
        self.texts, self.mentions, self.tags, self.open = [], [], [], None
        self.feed(markup)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append((tag, attrs))
        if attrs.get("class") == "text":
            self.texts.append("")
            self.open = []
        elif attrs.get("class") == "mention":
            self.open.append([len(self.texts) - 1, attrs, ""])

    def handle_endtag(self, tag):
        if tag == "div":
            self.open = None
        elif tag == "span" and self.open:
            self.mentions.append(self.open.pop())

    def handle_data(self, data):
        if self.open is not None:
            self.texts[-1] += data
            for mention in self.open:
                mention[2] += data

    def switches(self):
        """The buttons of the legend: the label of each, and its attributes."""
        switches = [attrs for tag, attrs in self.tags if tag == "button"]
        return {attrs["data-label"]: attrs for attrs in switches}

    def parts(self, text=0):
        """The parts of each mention of a text, joined."""
        joined = {}
        for place, attrs, part in self.mentions:
            if place == text:
                joined[int(attrs["data-i"])] = joined.get(int(attrs["data-i"]), "") + part
        return joined


def test_texts_and_mentions_are_those_of_the_doc():
    docs = [random_doc(seed) for seed in range(5)]
    words = ["<b>", "&amp;", '"', "</script>", "😀", "𐐷x", "\n", "\t", "שלום", "a\rb"]
    docs.append(
        make_doc(words, [(0, 3), (1, 5), (3, 4), (4, 6), (5, 9), (0, 10)], [0.5] * 6)
    )
    docs.append(make_doc([]))
    page = Page(spacy_tommer.render(docs, page=True))
    assert page.texts == [doc.text for doc in docs]
    for i, doc in enumerate(docs):
        spans = [span.text for span in doc.spans["mentions"]]
        assert page.parts(i) == dict(enumerate(spans))
    assert [tag for tag, _ in page.tags].count("script") == 1
    named = [attrs for _, attrs, _ in page.mentions if "aria-label" in attrs]
    assert len(named) == sum(len(doc.spans["mentions"]) for doc in docs)


def test_page_is_whole_and_needs_nothing_else():
    page = Page(spacy_tommer.render(random_doc(0), page=True))
    tags = [tag for tag, _ in page.tags]
    assert ("html", {"lang": "en"}) in page.tags
    assert ("meta", {"charset": "utf-8"}) in page.tags
    assert tags.count("title") == 1
    assert not {"link", "img", "iframe"} & set(tags)
    assert not [attrs for _, attrs in page.tags if {"src", "href"} & set(attrs)]
    german = spacy.blank("de")("Bonn")
    german.spans["mentions"] = []
    languages = Page(spacy_tommer.render(german, page=True))
    assert [attrs["lang"] for _, attrs in languages.tags if "lang" in attrs] == ["en", "de"]


def test_rows_of_bars():
    assert stack([]) == []
    # A bar is below those inside, and takes a row that is free.
    assert stack([(0, 4), (0, 2), (1, 2), (3, 4), (5, 6)]) == [2, 1, 0, 0, 0]
    rng = random.Random(0)
    for _ in range(50):
        places = [
            (s, s + rng.randint(1, 6)) for s in (rng.randrange(20) for _ in range(20))
        ]
        rows = stack(places)
        for i, (start, end) in enumerate(places):
            for j, (first, behind) in enumerate(places[:i]):
                if start < behind and first < end:
                    assert rows[i] != rows[j]
                    if start <= first and behind <= end and end - start > behind - first:
                        assert rows[i] > rows[j]


def test_names_of_mentions():
    words = ["New", "York", "City"]
    doc = make_doc(words, [(0, 3), (0, 2)], [0.704, np.float32(0.25)])
    names = [
        attrs["aria-label"]
        for _, attrs, _ in Page(spacy_tommer.render(doc, page=True)).mentions
    ]
    assert sorted(names) == ["New York City, score 0.70", "New York, score 0.25"]
    gold = Page(spacy_tommer.render(make_doc(words, [(0, 3)], label="LOC"), page=True))
    assert gold.mentions[0][1]["aria-label"] == "New York City, LOC"
    assert gold.mentions[0][1]["data-tip"] == "LOC"


def test_legend_has_the_labels_that_occur():
    first = label_doc(["a", "b"], [(0, 1, "TERM"), (0, 2, "person")])
    second = label_doc(["c", "d"], [(0, 1, "PHRASE"), (1, 2, "NAME")])
    page = Page(spacy_tommer.render([first, second], page=True))
    switches = page.switches()
    assert list(switches) == ["NAME", "TERM", "PHRASE", "person"]
    assert {attrs["aria-pressed"] for attrs in switches.values()} == {"true"}
    # A button has the colour of its mentions.
    for _, attrs, _ in page.mentions:
        assert attrs["style"].endswith("; " + switches[attrs["data-label"]]["style"])
    assert switches["NAME"]["style"] == f"--kind: {COLORS['NAME']}"
    assert switches["person"]["style"] == "--hue: 358"


def test_legend_of_plain_mentions():
    plain = make_doc(["a", "b"], [(0, 1)])
    for docs in (plain, make_doc(["a"]), []):
        assert Page(spacy_tommer.render(docs, page=True)).switches() == {}
    markup = spacy_tommer.render([plain, label_doc(["a"], [(0, 1, "TERM")])], page=True)
    assert list(Page(markup).switches()) == ["", "TERM"]
    assert ">MENTION</button>" in markup
    strange = label_doc(["a"], [(0, 1, '"<b>&')])
    assert list(Page(spacy_tommer.render(strange, page=True)).switches()) == ['"<b>&']


def test_two_kinds_at_one_place():
    doc = label_doc(["Bonn", "now"], [(0, 1, "NAME"), (0, 1, "PHRASE"), (1, 2, "TERM")])
    doc.set_ents([Span(doc, 0, 1, "PHRASE"), Span(doc, 1, 2, "DATE")])
    listed = [(one.label, one.flat) for one in list_spans(doc, "mentions")]
    assert listed == [("NAME", False), ("PHRASE", True), ("DATE", True)]
    # Another component's label takes the place of both.
    doc.set_ents([Span(doc, 0, 1, "city")])
    listed = [(one.label, one.flat) for one in list_spans(doc, "mentions")]
    assert listed == [("city", True), ("city", True), ("TERM", False)]


def test_wrong_docs_are_explained():
    doc = make_doc(["a"], [(0, 1)], [0.5])
    with pytest.raises(ValueError, match=r"'other'; its keys are: 'mentions'"):
        spacy_tommer.render(doc, spans_key="other")
    doc.spans["mentions"].attrs["scores"] = [0.5, 0.5]
    with pytest.raises(ValueError, match="1 spans and 2 scores"):
        spacy_tommer.render(doc)
    with pytest.raises(ValueError, match="no component named tommer"):
        spacy_tommer.render(make_doc(["a"]), matches=spacy.blank("en"))


def test_notebook_and_fragment(monkeypatch):
    doc = random_doc(0)
    page = spacy_tommer.render(doc, page=True)
    fragment = spacy_tommer.render(doc)
    frames = [attrs for tag, attrs in Page(fragment).tags if tag == "iframe"]
    assert [frame["srcdoc"] for frame in frames] == [page]
    display = pytest.importorskip("IPython.display", reason="IPython is not installed")
    displayed = []
    monkeypatch.setattr(display, "display", displayed.append)
    assert spacy_tommer.render(doc, page=True, jupyter=True) is None
    assert [item.data for item in displayed] == [fragment]


@pytest.mark.parametrize("unit", ["token", "piece"])
def test_matches_are_those_of_the_head(unit, make_nlp):
    nlp = make_nlp()
    nlp.remove_pipe("tommer")
    model = {"@architectures": "spacy_tommer.Tommer.v1", "unit": unit, "max_length": 6}
    nlp.add_pipe("tommer", config={"model": model})
    fix_random_seed(1)
    gold = make_doc(["x"], [(0, 1)])
    nlp.initialize(lambda: [spacy.training.Example(nlp.make_doc("x"), gold)])
    text = "Barack Obama\n was born in Hawaii, and lives in New York City."
    doc = next(DocBin(docs=[nlp.make_doc(text)]).get_docs(VOCAB))
    values, matches = find_matches(nlp, doc)
    assert doc._.trf_data is None
    with_states = nlp.get_pipe("transformer")(nlp.make_doc(text))
    units = read(nlp.get_pipe("tommer").model, with_states)
    states, lengths = units.dataXd, units.lengths
    head = get_head(nlp.get_pipe("tommer").model)
    parameters = {name: p.detach().numpy() for name, p in head.named_parameters()}
    query, key = (states @ parameters[f"matching.{name}"] for name in ("query", "key"))
    query, key = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (query, key))
    value = (states @ parameters["value.weight"].T + parameters["value.bias"])[:, 0]
    last = np.cumsum(lengths) - 1
    first = last + 1 - lengths
    for token in doc:
        if token.is_space or not lengths[token.i]:
            assert values[token.i] is None and matches[token.i] == []
            continue
        end = last[token.i]
        assert values[token.i] == pytest.approx(value[end], abs=1e-5)
        expected = {
            start.i: query[end] @ key[first[start.i]]
            for start in doc[: token.i + 1]
            if not start.is_space and lengths[start.i] and end - first[start.i] < 6
        }
        row = dict(enumerate(matches[token.i]))
        given = {token.i - back: m for back, m in row.items() if m is not None}
        assert given == pytest.approx(expected, abs=1e-5)
    assert find_matches(nlp, nlp.make_doc("")) == ([], [])


def test_values_are_those_of_the_wanted_kinds(make_nlp):
    model = {
        "@architectures": "spacy_tommer.Tommer.v1",
        "kinds": list(KINDS),
        "sources": ["one", "two"],
    }
    nlp = make_nlp(model=model)
    fix_random_seed(1)
    gold = label_doc(["x"], [(0, 1, "NAME")])
    nlp.initialize(lambda: [spacy.training.Example(nlp.make_doc("x"), gold)])
    tommer = nlp.get_pipe("tommer")
    head = get_head(tommer.model)
    weights = np.array([2.0, 0.1, 1.0, 0.5], dtype="f")
    with torch.no_grad():
        head.mixing.view(-1, 5)[:4, 3] = torch.from_numpy(weights)
    doc = nlp.make_doc("Barack Obama was born in Hawaii, and lives in New York City.")
    states = read(tommer.model, nlp.get_pipe("transformer")(doc.copy())).dataXd
    weight, bias = (p.detach().numpy() for p in (head.value.weight, head.value.bias))
    every = states @ weight.T + bias  # (T, K + S)
    assert every.shape == (len(doc), 6)

    def expected(kinds):
        best = (every[:, kinds] * weights[kinds]).argmax(1)
        return np.take_along_axis(every[:, kinds], best[:, None], 1)[:, 0]

    by_default = expected([0, 1, 2])  # all but PHRASE
    assert not np.allclose(by_default, every[:, :3].max(1))
    assert find_matches(nlp, doc)[0] == pytest.approx(by_default, abs=1e-5)
    tommer.kinds = ["TERM", "PHRASE"]
    assert find_matches(nlp, doc)[0] == pytest.approx(expected([1, 3]), abs=1e-5)
    # One value, as in the paper, is shown as it is, whatever its weight.
    tommer.kinds = ["QUANTITY"]
    assert find_matches(nlp, doc)[0] == pytest.approx(every[:, 2], abs=1e-5)


# In a browser.


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is missing")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if None in (chromium, driver):
        pytest.skip("chromium or chromedriver is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("headless=new", "no-sandbox", "disable-dev-shm-usage"):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(driver)
    chrome = webdriver.Chrome(options=options, service=service)
    chrome.set_window_size(900, 700)
    yield chrome
    chrome.quit()


@pytest.fixture
def visit(browser, tmp_path):
    """Open a page, and check at the end that it reported no error."""

    def go(markup):
        path = tmp_path / "page.html"
        path.write_bytes(markup.encode("utf-8"))
        browser.get(path.as_uri())
        return browser

    browser.get_log("browser")
    yield go
    assert [entry["message"] for entry in browser.get_log("browser")] == []


def press(browser, *keys):
    from selenium.webdriver import ActionChains, Keys

    names = [getattr(Keys, key) if key.isupper() else key for key in keys]
    ActionChains(browser, duration=0).send_keys(*names).perform()


def tab_to(browser, selector):
    """Press Tab until an element has the focus."""
    for _ in range(200):
        if browser.execute_script(
            "return document.activeElement.matches(arguments[0])", selector
        ):
            return
        press(browser, "TAB")
    raise AssertionError(f"Tab does not reach {selector}")


def shown(browser):
    """The mentions that can be seen, which are those that Tab and screen readers reach."""
    seen, reached = browser.execute_script(
        """const all = [...document.querySelectorAll(".mention[data-start]")];
        const data = (m) => [m.dataset.start, m.dataset.end, m.dataset.score].map(Number);
        const seen = all.filter((m) => getComputedStyle(m).backgroundImage !== "none");
        const reached = all.filter((m) => m.tabIndex === 0 || m.role || m.ariaLabel);
        return [seen.map(data), reached.map(data)]"""
    )
    assert seen == reached
    return sorted(seen)


def count(browser):
    return browser.execute_script(
        "return document.querySelector('[role=status]').innerText"
    )


def slider(browser):
    return float(
        browser.execute_script("return document.querySelector('[type=range]').value")
    )


@pytest.mark.parametrize("seed", [0, 1])
def test_threshold_and_flat_agree_with_python(seed, visit):
    doc = random_doc(seed)
    total = len(doc.spans["mentions"])
    browser = visit(spacy_tommer.render(doc, page=True))
    tab_to(browser, "[type=range]")
    lowest = np.floor(min(doc.spans["mentions"].attrs["scores"]) * 100) / 100
    assert slider(browser) == lowest
    steps = [
        [],
        ["ARROW_RIGHT"],
        ["PAGE_UP"] * 2,
        ["PAGE_UP"] * 2,
        ["PAGE_UP"] * 2,
        ["END"],
    ]
    for step in [*steps, ["HOME"], ["ARROW_RIGHT"] * round((0.5 - lowest) * 100)]:
        press(browser, *step)
        threshold = slider(browser)
        for flat in (False, True):
            if flat:
                tab_to(browser, "[type=radio]")
                press(browser, "ARROW_RIGHT")
            expected = shown_by_python(doc, threshold, flat)
            assert shown(browser) == [list(place) for place in expected]
            kind, of = ("entities", len(doc.ents)) if flat else ("mentions", total)
            assert count(browser) == f"{len(expected)} of {of} {kind} shown"
        press(browser, "ARROW_LEFT")
        browser.execute_script("document.querySelector('[type=range]').focus()")
    assert threshold == 0.5
    assert browser.execute_script("return document.activeElement.ariaValueText") == "0.50"


def test_bars_keep_apart(visit):
    browser = visit(spacy_tommer.render(random_doc(2), page=True))
    for threshold in (0, 0.4, 0.6):
        rows = browser.execute_script(
            """const range = document.querySelector("[type=range]");
            range.value = arguments[0];
            range.dispatchEvent(new Event("input", { bubbles: true }));
            return [...document.querySelectorAll(".mention[data-start]:not(.off)")].map(
                (m) => [+m.dataset.start, +m.dataset.end, parseFloat(
                    getComputedStyle(m).paddingBottom)])""",
            threshold,
        )
        places = [(start, end) for start, end, _ in rows]
        for i, (start, end, low) in enumerate(rows):
            for first, behind, other in rows[:i]:
                assert low != other or end <= first or behind <= start
            if not any(s < end and start < e for s, e in places[:i] + places[i + 1 :]):
                assert low == 6


def test_texts_are_shown_and_not_run(visit):
    words = [
        "<script>document.title='run'</script>",
        "😀",
        "𐐷𐐷",
        "é",
        '"><img src=x>',
        "\n",
    ]
    words += ["ירושלים", "\tx", "a\rb\0"]
    places = [(0, 1), (1, 2), (1, 3), (2, 5), (4, 5), (6, 7), (3, 8)]
    doc = make_doc(words, places, [0.9] * len(places))
    markup = spacy_tommer.render([doc, make_doc([]), make_doc(["b"])], page=True)
    browser = visit(markup)
    assert browser.title == "Entity mentions"
    texts = browser.execute_script(
        "return [...document.querySelectorAll('.text')].map((text) => text.textContent)"
    )
    assert texts == [doc.text.replace("\0", "\ufffd"), "", "b "]
    marked = browser.execute_script(
        """const found = {};
        for (const part of document.querySelectorAll(".mention"))
            found[part.dataset.i] = (found[part.dataset.i] ?? "") + part.textContent;
        return Object.values(found)"""
    )
    assert marked == [span.text for span in doc.spans["mentions"]]
    assert browser.execute_script("return document.querySelectorAll('img').length") == 0


def tip(browser):
    element = browser.find_element("id", "tip")
    return element.text if element.is_displayed() else None


def test_scores_on_focus_and_hover(visit):
    from selenium.webdriver import ActionChains

    words = ["in", "New", "York", "City"]
    doc = make_doc(words, [(1, 3), (1, 4), (2, 4)], [0.446, 0.704, 0.2])
    browser = visit(spacy_tommer.render(doc, page=True))
    assert tip(browser) is None
    told = []
    tab_to(browser, ".mention")
    for _ in range(3):
        told.append(
            (
                browser.execute_script("return document.activeElement.ariaLabel"),
                tip(browser),
            )
        )
        press(browser, "TAB")
    assert sorted(told) == [
        ("New York City, score 0.70", "score 0.70"),
        ("New York, score 0.45", "score 0.45"),
        ("York City, score 0.20", "score 0.20"),
    ]
    whole = browser.find_element("css selector", "[aria-label='New York City, score 0.70']")
    browser.execute_script("document.activeElement.blur()")
    # Its bar is the lowest one.
    low = whole.size["height"] // 2 - 2
    ActionChains(browser).move_to_element_with_offset(whole, 0, low).perform()
    assert tip(browser) == "score 0.70"
    assert whole.get_attribute("class") == "mention active"
    ActionChains(browser).move_to_element_with_offset(whole, 0, low - 60).perform()
    assert tip(browser) is None


def test_docs_without_scores(visit):
    gold = make_doc(["a", "b", "c"], [(0, 1), (0, 2), (1, 3)], label="LOC")
    gold.set_ents([gold.spans["mentions"][1]])
    browser = visit(spacy_tommer.render(gold, page=True))
    assert count(browser) == "3 of 3 mentions shown"
    assert not browser.find_element("id", "threshold").is_displayed()
    tab_to(browser, "[type=radio]")
    press(browser, "ARROW_RIGHT")
    assert count(browser) == "1 of 1 entities shown"
    tab_to(browser, ".mention")
    assert tip(browser) == "LOC"


def test_matches_by_keyboard(visit, make_nlp):
    nlp = make_nlp()
    gold = make_doc(["x"], [(0, 1)])
    nlp.initialize(lambda: [spacy.training.Example(nlp.make_doc("x"), gold)])
    doc = nlp("John's sister lives\nin New York City with 😀 <b>.")
    values, matches = find_matches(nlp, doc)
    browser = visit(spacy_tommer.render(doc, page=True, matches=nlp))
    tab_to(browser, ".token")
    solid = [token for token in doc if values[token.i] is not None]
    for token in solid:
        value = f"value {values[token.i]:.2f}"
        label = browser.execute_script("return document.activeElement.ariaLabel")
        assert label == f"{token.text}, {value}"
        assert tip(browser) == value
        press(browser, "ARROW_RIGHT")
    press(browser, "HOME", *["ARROW_RIGHT"] * 6, "ENTER")
    end = solid[6]
    listed = browser.execute_script(
        """return [...document.querySelectorAll(".matches li")].map(
        (item) => [...item.children].map((child) => child.textContent))"""
    )
    starts = [t for t in solid if t.i <= end.i]
    assert [word for word, _ in listed] == [token.text for token in starts]
    expected = [matches[end.i][end.i - token.i] for token in starts]
    assert [float(number) for _, number in listed] == pytest.approx(expected, abs=0.0051)
    pressed = browser.find_elements("css selector", "[aria-pressed=true]")
    assert [element.text for element in pressed] == [end.text]


def test_frames_do_not_disturb_each_other(visit):
    docs = [
        make_doc(["a", "b"], [(0, 1), (0, 2)], scores)
        for scores in ([0.2, 0.9], [0.4, 0.5])
    ]
    style = "<style>span, input { display: none }</style>"
    browser = visit("<!doctype html>" + style + "".join(map(spacy_tommer.render, docs)))
    frames = browser.find_elements("css selector", "iframe")
    browser.switch_to.frame(frames[0])
    tab_to(browser, "[type=range]")
    press(browser, "PAGE_UP")
    assert count(browser) == "1 of 2 mentions shown"
    browser.switch_to.default_content()
    browser.switch_to.frame(frames[1])
    assert count(browser) == "2 of 2 mentions shown"
    assert browser.find_element("class name", "mention").is_displayed()
    browser.switch_to.default_content()
    assert all(40 < frame.size["height"] < 250 for frame in frames)


def test_long_text(visit):
    words = ["word"] * 10000
    scores = np.linspace(0.1, 0.9, 5000).tolist()
    doc = make_doc(words, [(2 * i, 2 * i + 2 - i % 2) for i in range(5000)], scores)
    browser = visit(spacy_tommer.render(doc, page=True))
    assert count(browser) == "5000 of 5000 mentions shown"
    tab_to(browser, "[type=range]")
    press(browser, "PAGE_UP")
    threshold = slider(browser)
    above = sum(score > threshold for score in scores)
    assert count(browser) == f"{above} of 5000 mentions shown"


def test_types_are_seen_wherever_a_component_wrote_them(visit):
    doc = make_doc(["Ada", "of", "Bonn", "met", "Eve"], [(0, 1), (0, 3), (2, 3)], [0.9] * 3)
    doc.spans["entities"] = [Span(doc, 2, 3, "city")]
    doc.set_ents([Span(doc, 0, 1, "person"), Span(doc, 4, 5, "PER")])
    browser = visit(spacy_tommer.render(doc, page=True))
    assert count(browser) == "3 of 3 mentions shown"
    tags = """return [...document.querySelectorAll(".mention:not(.off)")].map((m) =>
        [m.textContent, getComputedStyle(m, "::before").content, m.style.cssText]
    )"""
    seen = {text: (tag, style) for text, tag, style in browser.execute_script(tags)}
    assert seen["Ada"][0] == '"person"' and seen["Bonn"][0] == '"city"'
    assert seen["Ada of Bonn"][0] == '""'
    hues = {style.partition("--hue:")[2] for _, style in seen.values()}
    assert len(hues) == 3
    tab_to(browser, "[type=radio]")
    press(browser, "ARROW_RIGHT")
    assert count(browser) == "2 of 2 entities shown"
    assert {text for text, *_ in browser.execute_script(tags)} == {"Ada", "Eve"}


def test_lines_are_as_high_as_their_own_bars(visit):
    words = ["deep", "\n", "flat", "\n", "plain"]
    places = [(0, 1)] * 1 + [(2, 3)]
    doc = make_doc(words, places, [0.9] * len(places), spaces=[False] * 5)
    group = [Span(doc, 0, 1, label=str(i)) for i in range(6)] + [Span(doc, 2, 3)]
    doc.spans["mentions"] = SpanGroup(
        doc, name="mentions", attrs={"scores": [0.9] * 7}, spans=group
    )
    browser = visit(spacy_tommer.render(doc, page=True))
    tops = browser.execute_script(
        """const range = document.createRange();
        const text = document.querySelector(".text");
        const walker = document.createTreeWalker(text, NodeFilter.SHOW_TEXT);
        const tops = {};
        while (walker.nextNode()) {
            range.selectNodeContents(walker.currentNode);
            const word = walker.currentNode.data.trim();
            if (word) tops[word] = range.getClientRects()[0].top;
        }
        return tops"""
    )
    assert tops["flat"] - tops["deep"] > tops["plain"] - tops["flat"] + 20


def click_on(browser, label):
    browser.find_element("css selector", f'.switch[data-label="{label}"]').click()


def pressed(browser):
    """The labels that are switched on."""
    buttons = browser.find_elements("css selector", "#labels [aria-pressed=true]")
    return [button.text for button in buttons]


def test_labels_are_switched_off_and_on(visit):
    doc = random_doc(3, labels=["NAME", "TERM", "QUANTITY", "city"])
    total = len(doc.spans["mentions"])
    browser = visit(spacy_tommer.render(doc, page=True))
    assert pressed(browser) == ["NAME", "TERM", "QUANTITY", "city"]
    rows = "return Math.max(...texts[0].mentions.filter((m) => m.shown).map((m) => m.row))"
    before = browser.execute_script(rows)
    click_on(browser, "TERM")
    tab_to(browser, ".switch[data-label=city]")
    press(browser, "SPACE")
    assert pressed(browser) == ["NAME", "QUANTITY"]
    lowest = slider(browser)
    expected = shown_by_python(doc, lowest, False, off={"TERM", "city"})
    assert 0 < len(expected) < total
    assert shown(browser) == [list(place) for place in expected]
    assert count(browser) == f"{len(expected)} of {total} mentions shown"
    assert browser.execute_script(rows) < before  # bars move up
    # Together with the threshold and the flat segmentation.
    browser.execute_script("document.querySelector('[type=range]').focus()")
    press(browser, *["PAGE_UP"] * 3)
    threshold = slider(browser)
    assert threshold > lowest
    for flat in (False, True):
        if flat:
            tab_to(browser, "[type=radio]")
            press(browser, "ARROW_RIGHT")
        expected = shown_by_python(doc, threshold, flat, off={"TERM", "city"})
        assert shown(browser) == [list(place) for place in expected]
    tab_to(browser, ".switch[data-label=city]")
    press(browser, "ENTER")
    click_on(browser, "TERM")
    assert len(pressed(browser)) == 4
    expected = shown_by_python(doc, threshold, True)
    assert shown(browser) == [list(place) for place in expected]


def test_plain_mentions_have_no_legend(visit):
    browser = visit(spacy_tommer.render(random_doc(0), page=True))
    assert not browser.find_element("id", "labels").is_displayed()


def test_colors_on_the_page_are_those_of_displacy(visit):
    places = [(i, i + 1, kind) for i, kind in enumerate(KINDS)]
    inside = [(4, 7, "person"), (5, 6, "MENTION"), (7, 8, "MENTION")]
    doc = label_doc([f"w{i}" for i in range(8)], [*places, *inside], [0.9] * 7)
    browser = visit(spacy_tommer.render(doc, page=True))
    tags, switches, bars = browser.execute_script(
        """const style = (element, pseudo) => getComputedStyle(element, pseudo);
        const kinds = [...document.querySelectorAll(".mention[style*='--kind']")];
        const tag = (m) => [m.dataset.label, style(m, "::before").backgroundColor];
        const buttons = [...document.querySelectorAll(".switch[style*='--kind']")];
        const button = (b) => [b.textContent, style(b).backgroundColor];
        const plain = [...document.querySelectorAll(".mention:not([data-label])")];
        const bar = (m) => style(m).backgroundImage;
        return [kinds.map(tag), buttons.map(button), plain.map(bar)]"""
    )
    colors = {
        kind: f"rgb({', '.join(str(int(COLORS[kind][i : i + 2], 16)) for i in (1, 3, 5))})"
        for kind in KINDS
    }
    assert dict(tags) == dict(switches) == colors
    # A plain mention looks the same inside another one.
    assert len(bars) == 2 and bars[0] == bars[1]


def test_controls_do_not_cover_what_has_the_focus(visit):
    places = [(i, i + 1, f"label {i % 200}") for i in range(4000)]
    doc = label_doc(["word "] * 4000, places)
    browser = visit(spacy_tommer.render(doc, page=True))
    height, below = browser.execute_script(
        """const mention = document.querySelectorAll(".mention")[1000];
        const controls = document.querySelector("#controls");
        scrollTo(0, mention.getBoundingClientRect().top + scrollY);
        mention.focus();
        const [upper, lower] = [controls, mention].map((e) => e.getBoundingClientRect());
        return [upper.height, lower.top - upper.bottom]"""
    )
    assert 40 < height < 200  # the labels scroll
    assert below >= 0
