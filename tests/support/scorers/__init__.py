"""The scorers that `bench_model` measures side by side, each with the same trees.

    python -m scorers MODULE MODEL

scores files in one process, which stays warm: a request a line on standard input, an answer a line
on standard output. The module's `scorer` does it. `as_command` measures whole commands. `onepass`
is a yardstick in C, `with_mlflow` saves the model for a library of .venv-bench.
"""
