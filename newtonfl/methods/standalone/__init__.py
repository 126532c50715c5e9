"""Methods that are no settings of the round: one file a paper."""
