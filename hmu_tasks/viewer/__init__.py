"""The report: tables, plots, stick-figure animations and one page that opens from disk without network."""
