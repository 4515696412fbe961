"""Evidence: tasks, graders, a harness that loses nothing, statistics and the report."""
