"""Custom resources of Kubernetes, put into the store: see docs/kubernetes-controller.md."""
