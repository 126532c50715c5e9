"""Prediction: a fitted model as a file without data, and what it says of the rows of a table.

fitted_model
    What a solve found as a function of a table's columns: coefficients, names, words and scales; model.json out and in.
model_rows
    A table of the kinds that datasets read → the model's features, columns matched by name.
predictions
    From features to classes with probabilities, or means; as CSV.

May be imported by: cli.
"""
