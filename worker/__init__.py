"""The SQS worker: receives requests, scores each in a job process, commits under a lease.

`consumer` is the loop, `lease` keeps the claim alive, `job_process` is the parent's side of the
process that computes and `job` the inside of it, `shutdown` turns signals into a budget of time.
Only the job process loads the model.
"""
