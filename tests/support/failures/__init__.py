"""The failure matrix: runs in which things go wrong, and an audit of what becomes of them.

To be read in this order:

    plan, steps        what goes wrong in a run, and at which step
    audit              what must never be
    world              a run in simulated time; with simulated_worker, and the clock in turns
    real               a run with real processes; with hurried_worker, and the wire to the cloud
    broken             the product broken on purpose, to see that the audit notices
    matrix             plays all of it: `make matrix`
"""
