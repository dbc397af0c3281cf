"""Training, scoring and reasons: what turns a customer file into churn probabilities.

`training` makes an artifact from any labelled CSV, `artifact` keeps and checks it, `scoring` scores
customers by it and says why; `features`, with `numbers` and `dates`, turns cells into numbers the
same way for both.
Importing this package is cheap: what is heavy is imported where it is first used. XGBoost, pandas
and scikit-learn are for training alone; scoring takes NumPy and Numba.
"""
