"""Custom resources of Kubernetes, put into the store: see docs/custom-resources.md."""
