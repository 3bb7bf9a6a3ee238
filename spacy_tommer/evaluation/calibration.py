"""Choose thresholds on validation texts, on several sets at once."""

from collections.abc import Mapping

from .counts import Scored
from .means import mean

# Rising, with three digits.
CANDIDATES = [i / 1000 for i in range(1, 1000)]


def recall_threshold(
    corpora: Mapping[str, Scored], recall: float, mean_recall: float
) -> float:
    """Find the highest threshold that finds enough in every set and on average.

    corpora (Mapping[str, Scored]): All scored spans of each set.
    recall (float): The least recall of every set.
    mean_recall (float): The least plain mean of the recalls.
    RETURNS (float): One of the candidates. ValueError is raised where none finds enough.
    """
    for threshold in reversed(CANDIDATES):
        recalls = {name: scored.at(threshold)["r"] for name, scored in corpora.items()}
        average = sum(recalls.values()) / len(recalls)
        if min(recalls.values()) >= recall and average >= mean_recall:
            return threshold
    worst = min(recalls, key=recalls.__getitem__)
    raise ValueError(
        f"Even at a threshold of {CANDIDATES[0]} the recall on {worst!r} is "
        f"{100 * recalls[worst]:.1f} % and the mean recall {100 * average:.1f} %; wanted "
        f"are {100 * recall:.1f} % and {100 * mean_recall:.1f} %. Give a lower --recall "
        "or --mean-recall."
    )


def f1_threshold(corpora: Mapping[str, Scored]) -> float:
    """Find the threshold with the best plain mean of F1.

    corpora (Mapping[str, Scored]): The greedily picked spans of each set.
    RETURNS (float): One of the candidates.
    """
    return max(
        CANDIDATES, key=lambda threshold: measures_at(corpora, threshold)["mean"]["f"]
    )


def measures_at(
    corpora: Mapping[str, Scored], threshold: float
) -> dict[str, dict[str, float]]:
    """Measure all sets at one threshold.

    corpora (Mapping[str, Scored]): The scored spans of each set.
    threshold (float): Probability that a span must exceed.
    RETURNS (dict[str, dict[str, float]]): The measures of each set, and their "mean".
    """
    measures = {name: scored.at(threshold) for name, scored in corpora.items()}
    return {**measures, "mean": mean(list(measures.values()))}
