"""The keys of doc.spans and doc.user_data that this package reads and writes."""

# In doc.spans: mentions, predicted or gold; typed spans; spans that the loss ignores; gold
# entities without labels, which are proposed to a component that types mentions.
MENTIONS = "mentions"
ENTITIES = "entities"
IGNORED = "ignored"
PROPOSED = "gold"

# In doc.user_data: a teacher's probabilities of all spans. (units, L)
TARGETS = "mention_targets"

# The label of mentions of a head that does not tell kinds.
MENTION = "MENTION"
# The kinds of the shipped heads. Noun phrases of any kind are the last, and are not shown
# unless they are asked for.
NAME, TERM, QUANTITY, PHRASE = KINDS = ("NAME", "TERM", "QUANTITY", "PHRASE")
