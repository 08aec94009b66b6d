"""The driver: one process that runs one job as Ray Tune experiments, started as `python -m workers.driver JOB EPOCH`.

::

    __main__      the process: lease, connection to Ray, exit code
    standby       before there is a job: imports everything and waits for the job
    job           from the claim to the end of the job: replay, Tune runs, winners
    recovery      recovers the ledger from the store: open trials, algorithm and stopping rule
    ledger        the open trials and every write about them; depends on neither Ray nor time
    trial_queue   the next configuration for Tune to run
    trial_tasks   the task that a worker receives for a trial
    dispatcher    handles Tune's callbacks
    attempts      the attempts that Tune has queued or started
    waiting       reasons why trials wait
    interruption  reasons to leave a Tune run at once
    search        Tune's search algorithm over the queue, and Tune's trial without its bookkeeping
    tune_run      Tune's scheduler and callback over the dispatcher, and one Tune run
    actor_manager Tune's manager of actors: the loss of one actor ends no other attempt
    placement     room in the cluster, reasons for waiting, nodes to avoid
    heartbeat     shows that the driver lives, reports the time used and the reason for waiting, and reads requests
    volume        whether the artifacts volume can be written; no trial starts while it cannot
    leftovers     removes files of earlier attempts, and checkpoints of finished trials
    connection    connects to Ray, and waits for it
    winners       the best trials, measured once on the test split
"""
