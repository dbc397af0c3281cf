"""From a labelled file to a model with its card: what it learns from, how, and how good it is.

`train` tells the story; `dataset` says what a column is, `fitting` chooses and trains, and
`cross_validation` measures that on customers that took no part in it.
"""
