"""The driver: one process that runs one job as Ray Tune experiments, started as `python -m workers.driver JOB EPOCH`.

::

    __main__     the process: lease, connection to Ray, exit code
    standby      before there is a job: everything is imported, and the job waited for
    job          from the claim to the end of the job: replay, Tune runs, winners
    recovery     what the store says, as a ledger: open trials, algorithm and stopping rule as they were
    ledger       the open trials and every write about them; knows neither Ray nor time
    dispatcher   which trial goes where: what Tune's searcher, scheduler and callback ask and tell
    search       the first of the three, and Tune's trial without its bookkeeping
    tune_run     the other two, and one Tune run
    placement    what the cluster has room for, why a trial waits, which nodes to avoid
    heartbeat    the heartbeat: renews the lease and learns what is asked of the job
    winners      the best trials, measured once on the test split
"""
