"""MLflow as a mirror of the sweep's folder; nothing else in this project imports mlflow."""
