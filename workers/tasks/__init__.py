"""What a trial trains: one file per task, named by the entry points `searchsvc.tasks`."""
