"""The engine: DVC's graph, a queue of stages, guarded processes, what terminal and Prefect show of them."""
