"""Threads that share a pipeline, and forks while they run it."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import TEXTS

from spacy_tommer.locks import COMPUTING


def outcome(doc):
    return {
        key: [(s.start, s.end, s.label_, score) for s, score in zip(g, g.attrs["scores"])]
        for key, g in doc.spans.items()
    }, [(e.start, e.end, e.label_) for e in doc.ents]


@pytest.fixture
def nlp(make_nlp, examples):
    nlp = make_nlp(threshold=0.1)
    nlp.add_pipe("tommer_zeroshot", config={"labels": ["person", "city"], "threshold": 0.1})
    for example in examples:
        example.reference.spans["entities"] = example.reference.spans["mentions"]
    nlp.initialize(lambda: examples)
    nlp.add_pipe("tommer_cleaner")
    return nlp


def test_eight_threads_find_what_one_finds(nlp):
    texts = TEXTS * 8
    expected = [outcome(nlp(text)) for text in texts]
    assert any(mentions["entities"] for mentions, _ in expected)
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            assert list(pool.map(lambda text: outcome(nlp(text)), texts)) == expected


def test_prediction_leaves_the_mode_of_heads_alone(nlp, monkeypatch):
    import torch

    modes = []
    train = torch.nn.Module.train
    monkeypatch.setattr(
        torch.nn.Module,
        "train",
        lambda self, mode=True: (modes.append(mode), train(self, mode))[1],
    )
    nlp(TEXTS[0])
    assert modes == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_waits_for_the_pass_of_another_thread(nlp):
    """The child of a fork during a pass would wait for the lock of that pass for ever."""
    code = """
import os, sys, threading, time
from spacy_tommer.locks import COMPUTING
held = threading.Event()
def compute():
    with COMPUTING:
        held.set()
        time.sleep(0.5)
threading.Thread(target=compute).start()
held.wait()
child = os.fork()
if not child:
    COMPUTING.acquire()
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
COMPUTING.acquire()
"""
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60
    )
    assert shown.stdout.strip() == "7", shown.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_workers_while_other_threads_run_the_pipeline(nlp):
    stop = threading.Event()

    def keep_busy():
        while not stop.is_set():
            nlp(TEXTS[0])

    threads = [threading.Thread(target=keep_busy, daemon=True) for _ in range(3)]
    expected = [outcome(nlp(text)) for text in TEXTS * 4]
    for thread in threads:
        thread.start()
    try:
        docs = list(nlp.pipe(TEXTS * 4, n_process=2, batch_size=4))
    finally:
        stop.set()
    for thread in threads:
        thread.join(timeout=30)
    for doc, (groups, ents) in zip(docs, expected, strict=True):
        assert outcome(doc)[1] == ents
        for key, spans in groups.items():
            found = outcome(doc)[0][key]
            assert [span[:3] for span in found] == [span[:3] for span in spans]
            scores = [[score for *_, score in part] for part in (found, spans)]
            assert scores[0] == pytest.approx(scores[1], abs=1e-4)  # batches add otherwise
    assert COMPUTING.acquire(timeout=5)
    COMPUTING.release()
