"""A language model as the judge, against a stub of its server."""

import json
import multiprocessing
import os
import random
import signal
import sys
import time
from collections import Counter

import pytest
import spacy
from conftest import TEXTS
from run_verb import error_of, run_verb
from spacy.tokens import DocBin
from spacy.training import Example
from stub_server import Reply, StubServer

from reproduction.corpora.gold import gold_doc
from reproduction.judge.budget import Budget, Usage
from reproduction.judge.candidates import (
    Candidate,
    add_found,
    asking_order,
    choose_thresholds,
    draw_sample,
    gold_candidates,
    show,
)
from reproduction.judge.control import draw_control
from reproduction.judge.judged import judged_doc
from reproduction.judge.measures import (
    accepted_share,
    measure_pipeline,
    wilson,
)
from reproduction.judge.prompt import INSTRUCTION, REMINDER, parse
from reproduction.judge.server import Server
from reproduction.judge.verdicts import VerdictLog, question_key
from spacy_tommer.evaluation.sets import find_sets, read_docs

pytest.importorskip("openai")
from reproduction.judge.ask import JudgeError, judge_contexts

SECRET = "sk-a-secret-key"
CONTEXTS = [f"the [[span {i}]] of a text" for i in range(40)]
SOON = "0.01"
# A fork needs no imports; elsewhere than on Linux, libraries may not compute in one.
PROCESSES = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")


@pytest.fixture(autouse=True)
def api_key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "answers.jsonl"


def ask(stub, path, contexts=CONTEXTS, budget=None, **settings):
    """Judge contexts; give the outcome, the verdicts and the lines of the log."""
    budget = budget or Budget()
    with VerdictLog(path) as log:
        outcome = judge_contexts(Server("m", stub.url, **settings), contexts, log, budget)
        verdicts = [log.verdict(question_key("m", 0, one)) for one in contexts]
    return outcome, verdicts, path.read_text("utf8").splitlines()


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ("It is a town.\nyes", "yes"),
        ("It is a town. Yes.", "yes"),
        ("It is a fragment.\n\n**No**", "no"),
        ("A fragment - no", "no"),
        ("A fragment: NO!", "no"),
        ('The name "No" is a whole title.\nyes', "yes"),
        ('{"reason": "a town", "verdict": "yes"}', "yes"),
        ("no", "no"),
        ("No. 5 is a perfume.\nyes", "yes"),
        ("I can't say yes or no", "unclear"),
        ("yes/no", "unclear"),
        ("Yes. On the other hand: no", "unclear"),
        ("Yes, it is a town.", "unclear"),
        ("The answer is yes", "unclear"),
        ("yes\nIt is a town", "unclear"),
        ("I know nobody", "unclear"),
        ("", "unclear"),
    ],
)
def test_answers_are_read_strictly(answer, verdict):
    assert parse(answer) == verdict


def test_a_span_is_shown_in_its_context():
    text = "Ann met Bob in Rome."
    assert show(text, 8, 11, 4) == "...met [[Bob]] in ..."
    assert show(text, 8, 11, 30) == "Ann met [[Bob]] in Rome."
    assert show(text, 0, 3, 0) == "[[Ann]]..."


@pytest.fixture
def benchmarks(tmp_path):
    """Two sets with one text and two."""
    vocab = spacy.blank("en").vocab
    for name, texts in {"one": TEXTS[:1], "two": TEXTS[1:]}.items():
        docs = []
        for text in texts:
            words = [token.text for token in spacy.blank("en").make_doc(text)]
            docs.append(gold_doc(vocab, words, [(0, 2, "A"), (0, 1, "B"), (3, 4, "")]))
        (tmp_path / "sets" / name).mkdir(parents=True)
        DocBin(docs=docs).to_disk(tmp_path / "sets" / name / "0.spacy")
    return tmp_path / "sets"


@pytest.fixture
def docs(benchmarks):
    vocab = spacy.blank("en").vocab
    return {
        name: list(read_docs(one, vocab)) for name, one in find_sets(benchmarks).items()
    }


@pytest.fixture
def nlp(make_nlp, docs):
    nlp = make_nlp("bert", threshold=0.45)
    gold = [doc for part in docs.values() for doc in part]
    nlp.initialize(lambda: [Example(nlp.make_doc(doc.text), doc) for doc in gold])
    return nlp


@pytest.fixture
def pool(nlp, docs):
    pool = gold_candidates(docs)
    add_found(pool, docs, nlp, "tiny", nlp.get_pipe("tommer").threshold)
    return pool


def test_candidates_are_gold_mentions_and_those_of_pipelines(nlp, docs, pool):
    places = {"gold": set(), "tiny": set()}
    for name, part in docs.items():
        for number, doc in enumerate(part):
            for source, one in (("gold", doc), ("tiny", nlp(doc.text))):
                for span in one.spans["mentions"]:
                    key = (name, number, span.start_char, span.end_char)
                    places[source].add(key)
                    assert pool[key].tokens == len(span)
    assert {key for key, one in pool.items() if one.gold} == places["gold"]
    assert {key for key, one in pool.items() if one.logits} == places["tiny"]
    assert places["tiny"] - places["gold"]


def test_spans_without_scores_are_candidates_too(docs):
    nlp = spacy.blank("en")
    ruler = nlp.add_pipe("span_ruler", config={"spans_key": "mentions"})
    ruler.add_patterns([{"label": "X", "pattern": "Paris"}])
    assert choose_thresholds(nlp, None) == (None, [None])
    pool = {}
    add_found(pool, docs, nlp, "rules", None)
    (key,) = pool
    assert docs[key[0]][key[1]].text[key[2] : key[3]] == "Paris"
    verdicts = {key: "yes"}
    found = measure_pipeline("rules", None, pool.values(), [pool[key]], verdicts)
    assert found["found"] == 1 and found["recall"] == 1


def test_thresholds(nlp):
    assert choose_thresholds(nlp, None) == (0.45, [0.45, 0.5, 0.6, 0.7, 0.8, 0.9])
    assert choose_thresholds(nlp, 0.85) == (0.85, [0.85, 0.9])
    assert choose_thresholds(nlp, None, [0.7, 0.5]) == (0.45, [0.5, 0.7])
    with pytest.raises(ValueError, match=r"Set --floor 0\.3"):
        choose_thresholds(nlp, None, [0.3, 0.5])


def test_samples_share_what_they_can(pool):
    every = draw_sample(pool.values(), 10**6, 0)
    assert len(every) == len(pool) and every != list(pool.values())
    assert draw_sample(pool.values(), 5, 0) == every[:5]
    assert draw_sample(pool.values(), 5, 1) != every[:5]
    rest = [one for one in pool.values() if one is not every[0]]
    assert draw_sample(rest, 4, 0) == every[1:5]


def test_control_spans_are_random_spans_that_nobody_found(docs, pool):
    sample = draw_sample(pool.values(), 10, 0)
    control = draw_control(docs, pool, sample, 6, 0)
    keys = [one.key for one in control]
    assert len(set(keys)) == 6 and not set(keys) & set(pool)
    assert {one.tokens for one in control} <= {one.tokens for one in sample}
    for one in control:
        name, number, start, end = one.key
        assert len(docs[name][number].char_span(start, end)) == one.tokens
    assert draw_control(docs, pool, sample, 6, 0) == control
    assert draw_control(docs, pool, sample, 6, 1) != control
    assert len(draw_control(docs, pool, sample, 400, 0)) < 400
    assert draw_control(docs, pool, [], 6, 0) == []


def test_intervals():
    # Newcombe (1998), table I, method 3.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0, 0.1611), abs=5e-5)
    assert wilson(29, 29) == pytest.approx((0.8830, 1), abs=5e-5)


def test_precision_and_recall_at_each_threshold():
    table = [
        (0, 2.0, True, "yes"),
        (1, 2.0, False, "yes"),
        (2, 2.0, False, "no"),
        (3, -1.0, True, "yes"),
        (4, -1.0, False, "unclear"),
        (5, None, True, "yes"),
        (6, None, True, "no"),
        (7, 2.0, False, None),
    ]
    sample = [
        Candidate(("s", i, 0, 1), 1, gold, {} if score is None else {"p": score})
        for i, score, gold, _ in table
    ]
    unseen = Candidate(("s", 9, 0, 1), 1, False, {"p": 2.0})
    verdicts = {one.key: row[3] for one, row in zip(sample, table)}
    low, high = (
        measure_pipeline("p", threshold, [*sample, unseen], sample, verdicts)
        for threshold in (0.1, 0.5)
    )
    assert low["found"] == 7 and high["found"] == 5
    counts = {"yes": 3, "no": 1, "unclear": 1, "open": 1}
    assert counts.items() <= low["precision"].items()
    assert low["precision"]["share"] == 3 / 4 and low["recall"] == 3 / 4
    assert high["precision"]["share"] == 2 / 3 and high["recall"] == 2 / 4
    assert low["gold"]["share"] == 1 and low["other"]["share"] == 1 / 2
    assert accepted_share([sample[7]], verdicts)["share"] is None
    # A score that equals the threshold does not exceed it, as in the component.
    edge = Candidate(("s", 0, 0, 1), 1, False, {"p": 0.0})
    assert measure_pipeline("p", 0.5, [edge], [edge], verdicts)["found"] == 0


def test_judged_docs_split_tokens_where_a_span_ends():
    vocab = spacy.blank("en").vocab
    doc = gold_doc(
        vocab, ["Ann", "left", "Rome-based", "firms"], [(0, 1, "X"), (2, 4, "Y")]
    )
    made = judged_doc(doc, [(9, 13, "judged"), (0, 8, "rejected")])
    assert made.text == doc.text
    assert [span.text for span in made.spans["judged"]] == ["Rome"]
    assert [span.text for span in made.spans["rejected"]] == ["Ann left"]
    assert list(made.spans["unclear"]) == []
    for one in (doc, made):
        found = [(span.text, span.label_) for span in one.spans["mentions"]]
        assert found == [("Ann", "X"), ("Rome-based firms", "Y")]
    assert [span.text for span in made.ents] == [span.text for span in doc.ents]


def test_verdicts_are_asked_for_once(path):
    with StubServer(lambda question, count: Reply(delay=0.01)) as stub:
        twice = [*CONTEXTS, CONTEXTS[0]]
        outcome, verdicts, lines = ask(stub, path, twice, concurrency=4)
        assert set(verdicts) == {"yes"} and outcome.left == 0
        assert len(stub.requests) == len(lines) == len(CONTEXTS)
        assert 1 < stub.most_active <= 4
        more = [*CONTEXTS, "one [[more]]"]
        assert ask(stub, path, more)[2][:-1] == lines
        assert len(stub.requests) == len(more)
        first = stub.requests[0]
        assert first["model"] == "m" and first["temperature"] == 0
        assert [one["role"] for one in first["messages"]] == ["system", "user"]
        assert first["messages"][0]["content"] == INSTRUCTION
        # Another temperature is another judge.
        assert ask(stub, path, temperature=0.5)[1] == ["yes"] * len(CONTEXTS)
        assert len(stub.requests) == len(more) + len(CONTEXTS)
    assert SECRET not in path.read_text("utf8")
    assert json.loads(lines[0])["input_tokens"] == StubServer.PROMPT


def test_unclear_answers_are_asked_once_more(path):
    def behave(question, count):
        if REMINDER in question and "0]]" in question:
            return Reply("no")
        return Reply("perhaps" if "0]]" in question or "1]]" in question else "yes")

    with StubServer(behave) as stub:
        budget = Budget(max_requests=len(CONTEXTS))
        outcome, _, _ = ask(stub, path, budget=budget)
        assert outcome.left == 8 and outcome.ceiling == "--max-requests"
        # The first unclear answer is on record.
        _, verdicts, lines = ask(stub, path)
        assert len(stub.requests) == len(lines) == len(CONTEXTS) + 8
        assert Counter(verdicts) == {"yes": 32, "no": 4, "unclear": 4}
        ask(stub, path)
        assert len(stub.requests) == len(lines)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(None),
        Reply("I am a teapot."),
        Reply(body=b"<html>yes</html>"),
        Reply(body=b"[]"),
        Reply(body=b"yes"),
        Reply(body=b""),
        Reply(body=b'{"choices": []}'),
        Reply(body=b'{"choices": [{"message": null}], "usage": "none"}'),
        Reply(body=b'{"choices": [{"message": {"content": ["yes"]}}]}'),
        Reply(body=b'{"choices": [{"message": {"content": "\\ud800"}}]}'),
    ],
)
def test_nonsense_is_unclear(reply, path):
    with StubServer(lambda question, count: reply) as stub:
        outcome, verdicts, lines = ask(stub, path, CONTEXTS[:2])
        assert verdicts == ["unclear"] * 2 and len(lines) == len(stub.requests) == 4
        assert outcome.left == 0 and outcome.estimated == (0 if reply.body is None else 4)


def test_passing_failures_are_retried(path):
    def behave(question, count):
        if count % 5 == 1:
            return Reply(status=429, retry_after=SOON)
        if count % 5 == 2:
            return Reply(status=500, retry_after=SOON)
        return Reply()

    with StubServer(behave) as stub:
        budget = Budget()
        outcome, verdicts, _ = ask(stub, path, budget=budget, max_retries=20)
        assert set(verdicts) == {"yes"} and outcome.left == 0
        assert set(stub.answered.values()) == {1}
        assert budget.spent.requests == len(stub.requests) > len(CONTEXTS)
        assert budget.spent.input == len(CONTEXTS) * StubServer.PROMPT


def test_a_dropped_connection_is_retried(path):
    with StubServer(lambda question, count: Reply(drop=count == 1)) as stub:
        assert set(ask(stub, path, CONTEXTS[:4])[1]) == {"yes"}
        assert len(stub.requests) == 5


@pytest.mark.parametrize(
    ("reply", "advice"),
    [
        (Reply(status=429, retry_after=SOON), "Lower --concurrency"),
        (Reply(status=503, retry_after=SOON), "Try later"),
        (Reply(status=404), "Check --model, and --base-url"),
        (Reply(status=400), "Check --model and --temperature"),
        (Reply(status=401), "Check OPENAI_API_KEY"),
        (Reply(drop=True), "Check --base-url"),
        (Reply(delay=0.4), "Raise --timeout"),
    ],
)
def test_lasting_failures_end_the_run_in_good_order(reply, advice, path):
    def behave(question, count):
        return reply if "span 9]]" in question else Reply(delay=0.05)

    with StubServer(behave) as stub:
        timeout = 0.2 if reply.delay else 5
        with pytest.raises(JudgeError, match=advice) as caught:
            ask(stub, path, concurrency=3, max_retries=1, timeout=timeout)
        assert str(path) in str(caught.value) and SECRET not in str(caught.value)
        # Answers under way are awaited.
        answered = sum("span 9]]" not in one for one in stub.answered)
        assert len(path.read_text("utf8").splitlines()) == answered >= 9
        stub.behave = lambda question, count: Reply()
        assert set(ask(stub, path)[1]) == {"yes"}


def test_a_server_that_is_not_there(path):
    with pytest.raises(JudgeError, match="can't be reached"), VerdictLog(path) as log:
        server = Server("m", "http://127.0.0.1:9/v1", max_retries=0)
        judge_contexts(server, CONTEXTS, log, Budget())


@pytest.mark.parametrize("wanted", [0, 1, 10, 23])
def test_the_ceiling_on_requests_holds(wanted, path):
    def behave(question, count):
        return Reply(status=429, retry_after=SOON) if count % 4 == 3 else Reply(delay=0.01)

    with StubServer(behave) as stub:
        budget = Budget(max_requests=wanted)
        outcome, verdicts, lines = ask(stub, path, budget=budget)
        assert len(stub.requests) == budget.spent.requests == wanted
        assert outcome.ceiling == "--max-requests" and not outcome.interrupted
        assert outcome.left == verdicts.count(None) == len(CONTEXTS) - len(lines)
        assert ask(stub, path, max_retries=20)[0].left == 0
        assert set(stub.answered.values()) == {1}


@pytest.mark.parametrize("usage", [True, False])
def test_the_ceilings_on_tokens_and_cost_hold(usage, path):
    with StubServer(lambda question, count: Reply(delay=0.01, usage=usage)) as stub:
        budget = Budget(max_tokens=5000)
        outcome, _, _ = ask(stub, path, budget=budget)
        assert outcome.ceiling == "--max-tokens" and 0 < outcome.left < len(CONTEXTS)
        spent = budget.spent.input + budget.spent.output
        assert 5000 - 3000 < spent <= 5000
        assert outcome.estimated == (0 if usage else budget.spent.requests)
        before = len(stub.requests)
        budget = Budget(max_cost=0.015, input_price=5, output_price=20)
        outcome, _, _ = ask(stub, path.with_name("new.jsonl"), budget=budget)
        assert outcome.ceiling == "--max-cost" and outcome.left
        assert budget.cost(budget.spent) <= 0.015 and len(stub.requests) > before
    assert budget.cost(Usage(1, 10**6, 10**6)) == 25
    with pytest.raises(ValueError, match="--input-price"):
        Budget(max_cost=1)


def test_a_half_written_line_is_repaired(path):
    with StubServer(lambda question, count: Reply()) as stub:
        _, _, lines = ask(stub, path, CONTEXTS[:3])
        whole = path.read_bytes()
        for cut in (1, len(lines[-1]) // 2, len(lines[-1]) - 1):
            path.write_bytes(whole + lines[0].encode()[:cut])
            VerdictLog(path).file.close()
            assert path.read_bytes() == whole
        # Only its end is missing.
        path.write_bytes(whole[:-1])
        VerdictLog(path).file.close()
        assert path.read_bytes() == whole
        path.write_bytes(whole[:-20])
        assert ask(stub, path, CONTEXTS[:3])[1] == ["yes"] * 3
        assert len(stub.requests) == 4


@pytest.mark.parametrize("content", [b"notes", b'{"a": 1}', b"[]\n", b'{"key": 1\n{}\n'])
def test_another_file_is_no_log(content, path):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"Line 1 of .*--log"):
        VerdictLog(path)
    assert path.read_bytes() == content


def start(stub, path, contexts, concurrency):
    """Judge in another process, and give its id."""
    pid = os.fork()
    if pid:
        return pid
    try:
        ask(stub, path, contexts, concurrency=concurrency)
    finally:
        os._exit(0)


@needs_fork
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_killed_runs_go_on(sent, path):
    contexts = [f"the [[span {i}]] of a text" for i in range(200)]
    generator = random.Random(0)
    concurrency, kills = 4, 6

    def behave(question, count):
        return Reply("perhaps" if "5]]" in question else "yes", delay=0.004)

    with StubServer(behave) as stub:
        logged: list[str] = []
        for _ in range(kills):
            wanted = len(stub.requests) + generator.randint(1, 16)
            pid = start(stub, path, contexts, concurrency)
            while len(stub.requests) < wanted:
                time.sleep(0.001)
            os.kill(pid, sent)
            _, status = os.waitpid(pid, 0)
            assert os.WIFSIGNALED(status) == (sent == signal.SIGKILL)
            # The log only grows, but for a line that was half written.
            lines = path.read_text("utf8").splitlines()
            assert lines[: len(logged)] == logged
            logged = [one for one in lines if one.endswith("}")]
        outcome, verdicts, lines = ask(stub, path, contexts)
        assert lines[: len(logged)] == logged and outcome.left == 0
        assert Counter(verdicts) == {"yes": 180, "unclear": 20}
        assert len(lines) == len(set(lines)) == 220
        time.sleep(0.05)
        repeated = sum(stub.answered.values()) - 220
        assert 0 <= repeated <= (kills * concurrency if sent == signal.SIGKILL else 0)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_the_judge_command(nlp, docs, pool, benchmarks, tmp_path):
    nlp.to_disk(tmp_path / "nlp")
    out = tmp_path / "out"

    def behave(question, count):
        # Control spans are clear, so that they can be counted.
        unclear = question.startswith("[[") and "..." in question
        return Reply("Maybe." if unclear else "A name.\nyes", delay=0.02)

    with StubServer(behave) as stub:
        options = ["--base-url", stub.url, "--benchmarks", benchmarks, "--output", out]
        options += [
            "--sample",
            60,
            "--control",
            0.2,
            "--concurrency",
            2,
            "--input-price",
            1,
        ]
        process = PROCESSES.Process(
            target=run_verb, args=("judge", tmp_path / "nlp", *options)
        )
        process.start()
        while len(stub.requests) < 12 and process.is_alive():
            time.sleep(0.01)
        process.kill()
        process.join()
        logged = (out / "answers.jsonl").read_text("utf8").splitlines()
        assert len(logged) >= 10 and not (out / "judge.json").exists()
        result = run_verb("judge", tmp_path / "nlp", *options)
        lines = (out / "answers.jsonl").read_text("utf8").splitlines()
        assert lines[: len(logged) - 1] == logged[:-1]
        assert len(stub.requests) <= len(lines) + 2
        written = json.loads((out / "judge.json").read_text("utf8"))
        before = len(stub.requests)
        result = run_verb("judge", tmp_path / "nlp", *options, "--threshold", 0.5)
        assert len(stub.requests) == before
    every = written["all"]
    assert every["candidates"] == len(pool)
    verdicts = every["sample"]
    assert verdicts["yes"] + verdicts["unclear"] == 60 and not verdicts["no"]
    assert written["control"]["yes"] == 12
    thresholds = [one["threshold"] for one in every["pipelines"][str(tmp_path / "nlp")]]
    assert thresholds == [0.45, 0.5, 0.6, 0.7, 0.8, 0.9]
    assert set(written["sets"]) == set(docs)
    report = (out / "judge.md").read_text("utf8")
    assert "| control | 12 | 0 | 0 | 0 | 100.0 |" in report
    assert "| control |" in result.output and "0 requests" in result.output
    judged = find_sets(out / "judged")
    spans = [
        span
        for name in judged
        for doc in read_docs(judged[name], nlp.vocab)
        for span in doc.spans["judged"]
    ]
    assert len(spans) == every["sample"]["yes"]
    for path in out.rglob("*"):
        assert path.is_dir() or SECRET.encode() not in path.read_bytes()


def test_a_log_has_one_writer(path):
    pytest.importorskip("fcntl")
    with VerdictLog(path), pytest.raises(ValueError, match="Another run writes to"):
        VerdictLog(path)
    with VerdictLog(path) as log:
        assert log.answers == {}


def test_control_spans_are_asked_about_among_the_others():
    """Though a sample of many candidates is what ranks first, and they rank anywhere."""
    pool = [Candidate(("set", i, 0, 1), 1) for i in range(5000)]
    sample = draw_sample(pool, 200, seed=0)
    control = [("set", i, 5, 6) for i in range(100)]
    order = asking_order([*(one.key for one in sample), *control], seed=0)
    assert sorted(order) == sorted([*(one.key for one in sample), *control])
    assert 35 < sum(key in control for key in order[:150]) < 65


def test_a_ceiling_still_gives_a_report(benchmarks, tmp_path):
    with StubServer(lambda question, count: Reply()) as stub:
        options = ["--base-url", stub.url, "--benchmarks", benchmarks, "--output", tmp_path]
        result = run_verb("judge", *options, "--max-requests", 4)
    assert "The ceiling --max-requests is reached" in result.output
    written = json.loads((tmp_path / "judge.json").read_text("utf8"))
    assert written["run"]["requests"] == 4
    unseen = written["all"]["gold"]["open"] + written["control"]["open"]
    assert written["run"]["left"] == unseen == 6


def test_errors_say_what_to_do(benchmarks, tmp_path, monkeypatch):
    output = ["--output", tmp_path / "out"]
    missing = error_of("judge", "--benchmarks", tmp_path / "none", *output)
    assert "python -m reproduction convert" in missing
    (tmp_path / "file").touch()
    given = ["judge", "--benchmarks", benchmarks, "--output"]
    assert "Choose another --output" in error_of(*given, tmp_path / "file" / "out")
    assert "--input-price" in error_of(*given, tmp_path / "out", "--max-cost", 1)
    monkeypatch.setattr("spacy_tommer.evaluation.sets.find_sets", None)
    for key in ("", " ", "sk-\u201cquoted\u201d"):
        monkeypatch.setenv("OPENAI_API_KEY", key)
        nowhere = ("--benchmarks", tmp_path / "none", *output)
        no_key = error_of("judge", "no pipeline", *nowhere)
        assert "OPENAI_API_KEY" in no_key and "local server" in no_key
        assert "quoted" not in no_key
    monkeypatch.setitem(sys.modules, "openai", None)
    error = error_of(*given, tmp_path / "out")
    assert 'pip install "spacy-tommer[judge]"' in error


def test_without_candidates(tmp_path):
    doc = gold_doc(spacy.blank("en").vocab, ["So", "it", "goes"], [])
    (tmp_path / "sets").mkdir()
    DocBin(docs=[doc]).to_disk(tmp_path / "sets" / "0.spacy")
    given = ("--benchmarks", tmp_path / "sets", "--output", tmp_path / "out")
    assert "There are no candidates" in error_of("judge", *given)


@pytest.mark.parametrize(
    "line",
    [
        '{"key": ["a"], "model": "m", "verdict": "yes"}',
        '{"key": "a", "model": {}, "verdict": "yes"}',
        '{"key": "a", "model": "m", "verdict": "perhaps"}',
        '{"key": "a", "model": "m", "verdict": ["yes"]}',
        '{"key": "a", "model": "m"}',
        "[1]",
        "3",
        "[" * 100_000,
    ],
)
def test_lines_of_a_log_that_are_no_answers(line, tmp_path):
    path = tmp_path / "answers.jsonl"
    path.write_text(line + "\n", "utf-8")
    with pytest.raises(ValueError, match=r"Line 1 of .* is no answer of a judge"):
        VerdictLog(path)
