"""Agreement of annotators with each other and with the judge (tables 2 and 7)."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, Optional

from .answers import Answers
from .tasks import Task


def import_kappa() -> Any:
    """Import the function that computes Cohen's kappa.

    RETURNS (Callable): The function of scikit-learn.
    """
    try:
        from sklearn.metrics import cohen_kappa_score
    except ImportError as error:
        raise ImportError(
            'Cohen\'s kappa needs scikit-learn: pip install "spacy-tommer[judge]"'
        ) from error
    return cohen_kappa_score


def compare_answers(first: Answers, second: Answers) -> dict[str, Any]:
    """Compare two sets of answers, on the spans that both answer.

    first (Answers): Answers by id.
    second (Answers): The others, for instance the judge's.
    RETURNS (dict[str, Any]): The number of "spans"; the share of them that are answered
        alike, "agreement", and Cohen's "kappa"; and how often one says yes and the other
        no, "yes_no" and "no_yes". The shares are None where they are not defined: kappa
        is not where all answers are the same.
    """
    both = [(first[id_], second[id_]) for id_ in first if id_ in second]
    alike = sum(one == other for one, other in both)
    kappa: Optional[float] = None
    if len({answer for pair in both for answer in pair}) > 1:
        kappa = float(import_kappa()(*zip(*both)))
    return {
        "spans": len(both),
        "agreement": alike / len(both) if both else None,
        "kappa": kappa,
        "yes_no": both.count(("yes", "no")),
        "no_yes": both.count(("no", "yes")),
    }


def majority(annotators: Sequence[Answers]) -> Answers:
    """Take what most annotators answer.

    annotators (Sequence[Answers]): The answers of each.
    RETURNS (Answers): The answers by id, without the spans where as many say yes as no.
    """
    ids = dict.fromkeys(id_ for answers in annotators for id_ in answers)
    chosen: Answers = {}
    for id_ in ids:
        given = [answers[id_] for answers in annotators if id_ in answers]
        more = given.count("yes") - given.count("no")
        if more:
            chosen[id_] = "yes" if more > 0 else "no"
    return chosen


def measure_annotators(
    tasks: Sequence[Task], annotators: Mapping[str, Answers]
) -> dict[str, Any]:
    """Measure all agreement.

    tasks (Sequence[Task]): The judged spans.
    annotators (Mapping[str, Answers]): The answers of each annotator.
    RETURNS (dict[str, Any]): What `compare_answers` returns for each two annotators, in
        "pairs"; for each and the judge, in "judge"; and for the majority and the judge, of
        each set in "sets" and of all in "all". "ties" is the number of spans without a
        majority.
    """
    judge: Answers = {task.id: task.verdict for task in tasks}
    most = majority(list(annotators.values()))
    answered = {id_ for answers in annotators.values() for id_ in answers}
    sets = {}
    for name in dict.fromkeys(task.set for task in tasks):
        ids = {task.id for task in tasks if task.set == name}
        part: Answers = {id_: answer for id_, answer in most.items() if id_ in ids}
        if part:
            sets[name] = compare_answers(part, judge)
    return {
        "pairs": [
            {
                "first": one,
                "second": other,
                **compare_answers(annotators[one], annotators[other]),
            }
            for one, other in combinations(annotators, 2)
        ],
        "judge": {name: compare_answers(own, judge) for name, own in annotators.items()},
        "sets": sets,
        "all": compare_answers(most, judge),
        "ties": len(answered) - len(most),
    }
