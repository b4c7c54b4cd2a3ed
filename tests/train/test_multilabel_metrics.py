import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics

from train.multilabel.metrics import label_f1, scores

pairs = st.tuples(st.integers(1, 8), st.integers(2, 7)).flatmap(
    lambda shape: st.tuples(arrays(np.bool_, shape), arrays(np.bool_, shape))
)


@settings(deadline=None, max_examples=50)
@given(pairs)
def test_every_figure_is_that_of_scikit_learn(sets: tuple[np.ndarray, np.ndarray]) -> None:
    truth, shown = sets
    options = {"zero_division": 0}
    assert scores(truth, shown) == pytest.approx(
        {
            "n": len(truth),
            "accuracy": metrics.jaccard_score(truth, shown, average="samples", **options),
            "micro_precision": metrics.precision_score(truth, shown, average="micro", **options),
            "micro_recall": metrics.recall_score(truth, shown, average="micro", **options),
            "micro_f1": metrics.f1_score(truth, shown, average="micro", **options),
            "macro_f1": metrics.f1_score(truth, shown, average="macro", **options),
            "hamming": metrics.hamming_loss(truth, shown),
        }
    )
    np.testing.assert_allclose(
        label_f1(truth, shown), metrics.f1_score(truth, shown, average=None, **options)
    )


def test_a_sample_without_labels_counts_nothing_even_where_none_is_shown() -> None:
    truth = np.array([[True, False], [False, False]])
    assert scores(truth, truth)["accuracy"] == 0.5
    assert scores(truth, truth)["micro_f1"] == 1.0
    assert scores(truth, truth)["hamming"] == 0.0
