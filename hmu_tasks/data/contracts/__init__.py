"""The data contracts, and the tables they are checked on."""
