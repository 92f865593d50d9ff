"""Studies: a grid of cells in, tables, figures and a report out."""
