"""The keys of doc.spans and doc.user_data that this package reads and writes."""

# In doc.spans: mentions, predicted or gold; typed spans; spans that the loss ignores; gold
# entities without labels, which are proposed to a component that types mentions.
MENTIONS = "mentions"
ENTITIES = "entities"
IGNORED = "ignored"
PROPOSED = "gold"

# In doc.user_data: a teacher's probabilities of all spans. (units, L)
TARGETS = "mention_targets"
