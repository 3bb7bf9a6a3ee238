"""The plan of a sweep: which heads are trained, each in one setting unlike the others."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import srsly

from spacy_tommer.backbone.sources import file_hash
from spacy_tommer.head.matching import SLOTS

# Raised whenever rows get other contents.
FORMAT = 2


@dataclass(frozen=True)
class Run:
    """What one head of a sweep is trained with.

    backbone (str): Its name in the plan.
    layer (int): The block that is read, counted from 0.
    rank (int): Rank of the projections.
    texts (int): Texts that it learns from; 0 for all.
    matching (str): Its matching score.
    seed (int): Seed of training, and of the choice of texts.
    """

    backbone: str
    layer: int
    rank: int = 64
    texts: int = 0
    matching: str = "tom"
    seed: int = 0

    @property
    def key(self) -> str:
        """RETURNS (str): The name of its row, without the settings at their defaults."""
        plain = Run(self.backbone, self.layer)
        settings = {
            name: value
            for name, value in asdict(self).items()
            if value != getattr(plain, name)
        }
        tail = "".join(f"-{name}{value}" for name, value in settings.items())
        return f"{self.backbone}-{self.layer}{tail}"


@dataclass(frozen=True)
class Plan:
    """A sweep, as its YAML file describes it.

    config (Path): The training config.
    train (Path): DocBins to learn from.
    dev (Path): DocBins on which the threshold of greedy decoding is chosen.
    benchmarks (Path): A folder of DocBins for each benchmark.
    sentences (int): First texts of each benchmark that are scored; 0 for all.
    steps (int): Steps of training.
    thresholds (list[float]): Where recall and precision are measured.
    backbones (dict[str, dict]): For each backbone its "name", its "layers" that are cached
        in one pass, and the "layer" that is read where layers are not varied; and "passes",
        if it reads each window twice.
    base (dict[str, Any]): Settings of Run that differ from its defaults.
    vary (dict[str, list]): Values for settings of Run, one setting at a time. "all" stands
        for all layers of the backbone.
    overrides (dict[str, Any]): Settings of the training config that differ, by dotted name.
    """

    config: Path
    train: Path
    dev: Path
    benchmarks: Path
    sentences: int
    steps: int
    thresholds: list[float]
    backbones: dict[str, dict[str, Any]]
    base: dict[str, Any]
    vary: dict[str, list[Any]]
    overrides: dict[str, Any] = field(default_factory=dict)

    def base_run(self, backbone: str) -> Run:
        """Return the run of a backbone where nothing is varied.

        backbone (str): Its name in the plan.
        RETURNS (Run): The run.
        """
        return Run(backbone, **{"layer": self.backbones[backbone]["layer"], **self.base})

    def runs_of(self, backbone: str, setting: str) -> list[Run]:
        """List the runs of a backbone that differ in a setting.

        backbone (str): Its name in the plan.
        setting (str): A setting of Run; for one that is not varied there is the base run.
        RETURNS (list[Run]): The runs.
        """
        base = self.base_run(backbone)
        values = self.vary.get(setting, [])
        if (setting, values) == ("layer", "all"):
            values = self.backbones[backbone]["layers"]
        return [replace(base, **{setting: value}) for value in values] or [base]

    def runs(self) -> list[Run]:
        """List all runs, each once, those of one backbone together.

        RETURNS (list[Run]): The runs.
        """
        runs = []
        for backbone in self.backbones:
            runs.append(self.base_run(backbone))
            for setting in self.vary:
                runs += self.runs_of(backbone, setting)
        return list(dict.fromkeys(runs))

    def digest(self, run: Run) -> str:
        """Hash what a run depends on besides its own settings, so that its row is not taken
        for that of another plan or of other corpora.

        RETURNS (str): A hash in hexadecimal.
        """
        shared = [
            FORMAT,
            self.config.read_text("utf-8"),
            self.overrides,
            *map(corpus_hash, (self.train, self.dev, self.benchmarks)),
            self.sentences,
            self.steps,
            self.thresholds,
            self.backbones[run.backbone]["name"],
        ]
        if "passes" in self.backbones[run.backbone]:
            shared.append(self.backbones[run.backbone]["passes"])
        return hashlib.sha256(json.dumps(shared).encode("utf-8")).hexdigest()[:16]

    def check(self) -> None:
        """Raise ValueError for what would fail in the middle of a sweep."""
        for name in ("config", "train", "dev", "benchmarks"):
            if not getattr(self, name).exists():
                raise ValueError(f"its `{name}`, {getattr(self, name)}, is not there")
        for setting, values in self.vary.items():
            if not isinstance(values, list) and (setting, values) != ("layer", "all"):
                raise ValueError(f"`{setting}` in `vary` is no list")
        for run in self.runs():
            layers = self.backbones[run.backbone]["layers"]
            if run.layer not in layers:
                raise ValueError(f"{run.backbone!r} has block {run.layer} not in `layers`")
            if run.matching not in SLOTS:
                raise ValueError(f"`matching` is one of {', '.join(SLOTS)}")


def corpus_hash(folder: Path) -> str:
    """Hash the DocBins of a folder and of those in it."""
    hashes = [file_hash(path) for path in sorted(folder.rglob("*.spacy"))]
    return hashlib.sha256("".join(hashes).encode("ascii")).hexdigest()


def read_plan(path: Path) -> Plan:
    """Read the YAML file of a sweep.

    RETURNS (Plan): The plan. ValueError is raised for what it lacks, does not know, or
        names and is not there.
    """
    content = srsly.read_yaml(path)
    try:
        places = ("config", "train", "dev", "benchmarks")
        paths = {name: Path(content[name]) for name in places}
        # The paper's own threshold is always measured.
        thresholds = sorted({0.5, *content["thresholds"]})
        plan = Plan(**{**content, **paths, "thresholds": thresholds})
        plan.check()
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(
            f"The sweep {path} does not fit: {error}. See configs/sweep.yaml."
        ) from error
    return plan
