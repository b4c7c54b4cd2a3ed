"""Several emotions at once: losses, training, metrics and corpora of LDDU."""
