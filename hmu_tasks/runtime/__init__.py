"""What every step stands on: errors, atomic files, threads, the code's digest, the console."""
