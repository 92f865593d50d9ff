"""What a study's stored cells say: verdicts, tables, figures and a page."""
