"""DVC's graph, run by Prefect on this machine: the graph, its schedule, guarded stage processes, what a person sees."""
