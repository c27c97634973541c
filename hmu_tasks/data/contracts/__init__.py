"""The data contracts and the tables that they are checked on."""
