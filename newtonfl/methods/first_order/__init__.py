"""First-order presets of the round: typed functions, one file a paper or a family."""
