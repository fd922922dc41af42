"""What every report has: Markdown tables, the figures of track candidates as rows, and the style of plots."""
