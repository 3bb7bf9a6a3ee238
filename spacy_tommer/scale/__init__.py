"""Find mentions in large collections of texts: on one machine, or on many with Ray."""

from .actor import MentionActor
from .run import Summary, annotate
from .worker import ShardsFailed

__all__ = ["MentionActor", "ShardsFailed", "Summary", "annotate"]
