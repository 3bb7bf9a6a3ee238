"""Every key under which Docs hold what this package reads and writes."""

# In doc.spans: mentions, found or gold; all typed spans; spans that the loss leaves out;
# gold entities without labels, which are proposed to a component that types mentions.
MENTIONS = "mentions"
ENTITIES = "entities"
IGNORED = "ignored"
PROPOSED = "gold"

# In doc.user_data: the probabilities that a teacher gives all spans. (units, L)
TARGETS = "mention_targets"
