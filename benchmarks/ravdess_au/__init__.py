"""The same take heard and seen: RAVDESS voices and face action units, fused by belief."""
