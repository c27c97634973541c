"""Shared infrastructure of the steps: errors, atomic files, threads, code digest, console."""
