"""Second-order presets of the round: typed functions, one file a paper."""
