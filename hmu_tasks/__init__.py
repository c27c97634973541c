"""Human motion unlearning: the tasks of the pipeline (files) and the libraries they call (folders)."""
