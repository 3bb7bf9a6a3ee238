"""One lock around what runs outside Python, which a fork waits for."""

import os
import threading

import torch

PARALLELISM = "TOKENIZERS_PARALLELISM"

# Held by the thread that runs tokenizer, language model or a head: hooks on the model catch
# the passes of all threads, and a child that is forked during a pass would keep its hooks,
# settings and locks for good.
COMPUTING = threading.RLock()


# Whether the variable was set for the time of a fork.
unset = False


def before_fork() -> None:
    """Wait until no thread computes, and keep the tokenizer from warning that its own
    threads do not survive a fork."""
    global unset
    COMPUTING.acquire()
    unset = PARALLELISM not in os.environ
    if unset:
        os.environ[PARALLELISM] = "false"


def after_fork_in_parent() -> None:
    """Go on, and let the tokenizer use its threads again."""
    if unset:
        del os.environ[PARALLELISM]
    COMPUTING.release()


def after_fork_in_child() -> None:
    """Go on, and keep torch from waiting for threads that only the parent has."""
    COMPUTING.release()
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=before_fork,
        after_in_parent=after_fork_in_parent,
        after_in_child=after_fork_in_child,
    )
