"""Training, scoring and reasons: what turns a customer file into churn probabilities.

`train` makes an artifact from any labelled CSV, `artifact` keeps and checks it, `features` turns
cells into numbers the same way for both sides, `predict` scores a file with it, `reasons` says why.
Importing this package is cheap: what is heavy is imported where it is first used. XGBoost, pandas
and scikit-learn are for training alone; scoring takes NumPy and Numba.
"""
