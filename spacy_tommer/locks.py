"""One lock around all computation outside Python. A fork waits for it."""

import os
import threading

import torch

PARALLELISM = "TOKENIZERS_PARALLELISM"

# Held by the thread that runs the tokenizer, the language model or a head. Hooks on the
# model see the passes of all threads, blocks that are not read are taken out of it during a
# pass, and a child that is forked during a pass would keep its hooks, settings and locks.
COMPUTING = threading.RLock()


# Whether `before_fork` set the environment variable.
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
    """Release the lock, and let the tokenizer use its threads again."""
    if unset:
        del os.environ[PARALLELISM]
    COMPUTING.release()


def after_fork_in_child() -> None:
    """Release the lock, and keep torch from waiting for threads of the parent."""
    COMPUTING.release()
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=before_fork,
        after_in_parent=after_fork_in_parent,
        after_in_child=after_fork_in_child,
    )
