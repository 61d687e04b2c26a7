"""The pictures of a sweep, as plotly figures: of the report, of MLflow and of notebooks alike."""
