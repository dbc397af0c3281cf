"""The workers that `bench_worker` measures side by side, each behind the same two functions.

    python -m peers MODULE send COUNT
    python -m peers MODULE work [HOW]

`send` queues jobs as the library's own client does, `work` runs its worker until SIGTERM. What each
is told comes through the environment: `job` says what. The other libraries are in .venv-bench.
"""
