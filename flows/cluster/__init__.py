"""Many machines: stages on workers, data through the DVC remote, worktrees, and how isolated runs end."""
