import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.opinion import LEAST_UNCERTAINTY, Opinion

evidences = st.lists(st.floats(0, 1e4), min_size=2, max_size=9)


@given(evidences)
def test_from_evidence_follows_the_definitions(evidence: list[float]) -> None:
    opinion = Opinion.from_evidence(evidence)
    strength = sum(evidence) + len(evidence)
    assert opinion.belief == pytest.approx(np.array(evidence) / strength)
    assert float(opinion.uncertainty) == pytest.approx(len(evidence) / strength)


@given(evidences)
def test_evidence_comes_back(evidence: list[float]) -> None:
    assert Opinion.from_evidence(evidence).evidence == pytest.approx(evidence, rel=1e-9, abs=1e-9)


@given(st.floats(1e6, 1e308))
def test_from_evidence_never_becomes_certain(evidence: float) -> None:
    opinion = Opinion.from_evidence([evidence, 0.0])
    assert float(opinion.uncertainty) >= LEAST_UNCERTAINTY * (1 - 1e-9)
    assert opinion.belief.sum() + opinion.uncertainty == pytest.approx(1)


def test_from_evidence_of_huge_sums_is_not_vacuous() -> None:
    assert float(Opinion.from_evidence([1e308, 1e308]).uncertainty) < 1e-5


@pytest.mark.parametrize("evidence", [[-1.0, 0.0], [float("nan"), 0.0], [float("inf"), 0.0]])
def test_from_evidence_refuses_what_is_no_evidence(evidence: list[float]) -> None:
    with pytest.raises(ValueError, match="evidence"):
        Opinion.from_evidence(evidence)


@given(evidences, st.floats(0, 1))
def test_discount_conserves_mass_and_raises_uncertainty(
    evidence: list[float], trust: float
) -> None:
    opinion = Opinion.from_evidence(evidence)
    less = opinion.discount(trust)
    assert less.belief.sum() + less.uncertainty == pytest.approx(1)
    assert float(less.uncertainty) >= float(opinion.uncertainty) - 1e-12
    assert less.belief == pytest.approx(opinion.belief * trust)


@given(evidences)
def test_discount_reaches_vacuous_and_identity(evidence: list[float]) -> None:
    opinion = Opinion.from_evidence(evidence)
    assert float(opinion.discount(0.0).uncertainty) == 1.0
    assert (opinion.discount(0.0).belief == 0).all()
    assert opinion.discount(1.0).belief == pytest.approx(opinion.belief)


@pytest.mark.parametrize("trust", [-0.1, 1.1, float("nan")])
def test_discount_refuses_what_is_no_share(trust: float) -> None:
    with pytest.raises(ValueError, match="trust"):
        Opinion.vacuous(7).discount(trust)


def test_discount_takes_a_trust_for_each_row() -> None:
    opinion = Opinion.from_evidence(np.full((2, 3), 5.0))
    less = opinion.discount([0.0, 1.0])
    assert less.uncertainty == pytest.approx([1.0, float(opinion.uncertainty[1])])
