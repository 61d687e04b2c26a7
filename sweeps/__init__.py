"""Hyper-parameter sweeps for ResNet image classifiers, on Ray, tracked in MLflow."""
