"""Several views of the same samples: whether fusing opinions beats plain classifiers."""
