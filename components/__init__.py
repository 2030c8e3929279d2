"""The stages, one folder each: its logic, its Kubeflow face, its README."""
