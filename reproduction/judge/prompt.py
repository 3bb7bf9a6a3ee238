"""What a judge is asked, and how its answer is read (appendix C)."""

import hashlib
import re
from typing import Literal

Verdict = Literal["yes", "no", "unclear"]

INSTRUCTION = """\
You decide whether a marked span of text is a mention of an entity.

An entity is whatever exists in its own right and can be spoken of. It need not be made \
of matter: ideas, fields of study, laws, companies and what else exists by convention \
are entities, and so are numbers and sets that stand for something. Nor must it be alive \
or at hand: animals, rivers and mountains, objects, gods and ghosts are entities too.

You get a piece of a text, with dots where it was cut. The span stands in double square \
brackets. Whatever its type, its length or its style, it is a mention if it is a \
complete expression for an entity, and none if it is only a fragment of one or runs \
beyond it.

First give your reason in one short sentence. Then write your verdict on a line of its \
own: the single word yes or the single word no.

Text: ...until the town sold [[the old railway station]] to a family of bakers...
The span is the whole expression for a building.
yes

Text: ...until the town sold the [[old railway]] station to a family of bakers...
The span is a fragment of the expression for a building.
no"""
REMINDER = "Your last line must be the single word yes or the single word no."
# Other instructions give other verdicts.
VERSION = hashlib.sha256(f"{INSTRUCTION}\n{REMINDER}".encode()).hexdigest()[:12]

# "No. 5" ends no sentence.
SENTENCE_ENDS = re.compile(r"\.(?!\s*\d)|[!?:;\n]|\s[-\u2013]+\s|\u2014")


def messages(context: str, again: bool = False) -> list[dict[str, str]]:
    """Write the question about a span.

    context (str): The span in its context.
    again (bool): Whether the first answer was unclear.
    RETURNS (list[dict[str, str]]): The messages of a chat.
    """
    question = f"Text: {context}" + (f"\n\n{REMINDER}" if again else "")
    return [
        {"role": "system", "content": INSTRUCTION},
        {"role": "user", "content": question},
    ]


def parse(answer: str) -> Verdict:
    """Read an answer.

    RETURNS (Verdict): The last sentence if it consists of yes or no, unless another
        sentence consists of the opposite; "unclear" for all else.
    """
    sentences = [re.sub(r"[\W_]+", " ", one).strip() for one in SENTENCE_ENDS.split(answer)]
    words = [one.lower() for one in sentences if one]
    verdicts = {"yes", "no"}.intersection(words)
    if len(verdicts) == 1 and words[-1] in verdicts:
        return "yes" if "yes" in verdicts else "no"
    return "unclear"
