"""From a customer file to its result: probabilities, bands and reasons.

`predict` scores a file; `lines` its plain rows straight from the text, by the compiled inner loops
of `kernel`; `scores` a row cell by cell, which tells what is wrong with it. `trees` and `tables`
are what a model is while it scores. Neither XGBoost nor pandas is imported here.
"""
