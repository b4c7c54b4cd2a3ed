"""The rules over evidence against the published recurrences over belief masses."""

import math
from collections.abc import Sequence
from functools import reduce
from random import Random

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.fusion import (
    Rule,
    agreement,
    combine,
    conflict,
    discount_conflict,
    largest_conflict,
)
from engines.opinion import LEAST_UNCERTAINTY, Opinion

CLASSES = 6
EXACT = 1e-12

evidences = st.lists(st.floats(0, 200), min_size=CLASSES, max_size=CLASSES)
opinions = evidences.map(Opinion.from_evidence)
seen = opinions.filter(lambda o: o.uncertainty < 0.999)
rules = st.sampled_from(list(Rule))

Masses = tuple[npt.NDArray[np.float64], float]


def published_dempster(a: Masses, b: Masses) -> Masses:
    """Han et al. 2021, definition 4: C is the mass on pairs of different classes."""
    (b1, u1), (b2, u2) = a, b
    clash = sum(b1[i] * b2[j] for i in range(CLASSES) for j in range(CLASSES) if i != j)
    return (b1 * b2 + b1 * u2 + b2 * u1) / (1 - clash), u1 * u2 / (1 - clash)


def published_cumulative(a: Masses, b: Masses) -> Masses:
    """Jøsang 2016, definition 12.5."""
    (b1, u1), (b2, u2) = a, b
    total = u1 + u2 - u1 * u2
    return (b1 * u2 + b2 * u1) / total, u1 * u2 / total


def published_averaging(views: Sequence[Masses]) -> Masses:
    """Jøsang, Wang and Zhang 2017, eq. 16 (several sources)."""
    others = [math.prod(u for j, (_, u) in enumerate(views) if j != i) for i in range(len(views))]
    belief = sum(b * o for (b, _), o in zip(views, others, strict=True)) / sum(others)
    return np.asarray(belief), len(views) * math.prod(u for _, u in views) / sum(others)


def published_weighted(views: Sequence[Masses]) -> Masses:
    """Jøsang, Wang and Zhang 2017, eq. 22 (several sources)."""
    count = len(views)
    product = math.prod(u for _, u in views)
    others = [math.prod(u for j, (_, u) in enumerate(views) if j != i) for i in range(count)]
    below = sum(others) - count * product
    belief = sum(b * (1 - u) * o for (b, u), o in zip(views, others, strict=True)) / below
    return np.asarray(belief), float((count - sum(u for _, u in views)) * product / below)


def masses(opinion: Opinion) -> Masses:
    return opinion.belief, float(opinion.uncertainty)


def assert_same(fused: Opinion, expected: Masses) -> None:
    assert fused.belief == pytest.approx(expected[0], abs=EXACT)
    assert float(fused.uncertainty) == pytest.approx(expected[1], abs=EXACT)


@given(st.lists(opinions, min_size=1, max_size=4))
def test_dempster_equals_recurrence(views: list[Opinion]) -> None:
    expected = reduce(published_dempster, map(masses, views))
    if expected[1] > 2 * LEAST_UNCERTAINTY:
        assert_same(combine(views, Rule.DEMPSTER), expected)


@given(st.lists(opinions, min_size=1, max_size=4))
def test_cumulative_equals_recurrence(views: list[Opinion]) -> None:
    expected = reduce(published_cumulative, map(masses, views))
    assert_same(combine(views, Rule.CUMULATIVE), expected)


@given(st.lists(seen, min_size=1, max_size=4))
def test_averaging_equals_recurrence(views: list[Opinion]) -> None:
    assert_same(combine(views, Rule.AVERAGING), published_averaging([masses(v) for v in views]))


@given(st.lists(seen, min_size=1, max_size=4))
def test_weighted_equals_recurrence(views: list[Opinion]) -> None:
    assert_same(combine(views, Rule.WEIGHTED), published_weighted([masses(v) for v in views]))


@given(st.lists(opinions, min_size=1, max_size=4), rules)
def test_combine_conserves_mass(views: list[Opinion], rule: Rule) -> None:
    fused = combine(views, rule)
    assert fused.belief.sum() + fused.uncertainty == pytest.approx(1, abs=EXACT)
    assert LEAST_UNCERTAINTY * (1 - 1e-9) <= fused.uncertainty <= 1
    assert (fused.belief >= 0).all()
    assert fused.projected.sum() == pytest.approx(1, abs=EXACT)


@given(st.lists(opinions, min_size=1, max_size=3), rules, st.integers(0, 3))
def test_combine_ignores_vacuous(views: list[Opinion], rule: Rule, where: int) -> None:
    with_vacuous = [*views]
    with_vacuous.insert(where, Opinion.vacuous(CLASSES))
    assert_same(combine(with_vacuous, rule), masses(combine(views, rule)))


@given(rules, st.integers(1, 3))
def test_combine_of_vacuous_is_vacuous(rule: Rule, count: int) -> None:
    fused = combine([Opinion.vacuous(CLASSES)] * count, rule)
    assert float(fused.uncertainty) == 1.0


@given(opinions, opinions, opinions, st.sampled_from([Rule.DEMPSTER, Rule.CUMULATIVE]))
def test_combine_is_associative_for_independent_sources(
    a: Opinion, b: Opinion, c: Opinion, rule: Rule
) -> None:
    left = combine([combine([a, b], rule), c], rule)
    right = combine([a, combine([b, c], rule)], rule)
    assert left.belief == pytest.approx(right.belief, abs=1e-9)
    assert float(left.uncertainty) == pytest.approx(float(right.uncertainty), abs=1e-9)


@given(st.lists(opinions, min_size=2, max_size=4), rules, st.randoms())
def test_combine_does_not_depend_on_order(views: list[Opinion], rule: Rule, random: Random) -> None:
    shuffled = [*views]
    random.shuffle(shuffled)
    assert_same(combine(shuffled, rule), masses(combine(views, rule)))


@given(opinions, opinions)
def test_cumulative_never_grows_uncertain(a: Opinion, b: Opinion) -> None:
    fused = combine([a, b], Rule.CUMULATIVE)
    assert float(fused.uncertainty) <= min(float(a.uncertainty), float(b.uncertainty)) + EXACT


@pytest.mark.parametrize("rule", Rule)
def test_combine_judges_batches_row_by_row(rule: Rule) -> None:
    random = np.random.default_rng(1)
    evidence = random.gamma(0.5, 10, size=(3, 20, CLASSES))
    batched = combine([Opinion.from_evidence(e) for e in evidence], rule)
    for row in range(20):
        single = combine([Opinion.from_evidence(e[row]) for e in evidence], rule)
        assert_same(single, (batched.belief[row], float(batched.uncertainty[row])))


def test_combine_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no opinion"):
        combine([], Rule.DEMPSTER)


def test_dempster_of_many_certain_sources_stays_finite() -> None:
    certain = Opinion.from_evidence(np.array([1e300, 0, 0, 0, 0, 0]))
    fused = combine([certain] * 50, Rule.DEMPSTER)
    assert float(fused.uncertainty) == pytest.approx(LEAST_UNCERTAINTY)


@given(opinions, opinions)
def test_conflict_is_symmetric_and_a_share(a: Opinion, b: Opinion) -> None:
    assert float(conflict(a, b)) == pytest.approx(float(conflict(b, a)), abs=EXACT)
    assert -EXACT <= float(conflict(a, b)) <= 1
    assert float(conflict(a, a)) == 0
    assert float(conflict(a, Opinion.vacuous(CLASSES))) == pytest.approx(0, abs=EXACT)


def disagreeing() -> list[Opinion]:
    """Two views of evidence 60 on different classes: the worked example of the method."""
    return [Opinion.from_evidence(60 * np.eye(CLASSES)[i]) for i in (0, 1)]


@pytest.mark.parametrize(
    ("rule", "uncertainty"),
    [(Rule.DEMPSTER, 0.048), (Rule.CUMULATIVE, 0.048), (Rule.AVERAGING, 0.091)],
)
def test_combine_alone_stays_sure_when_views_disagree(rule: Rule, uncertainty: float) -> None:
    assert float(combine(disagreeing(), rule).uncertainty) == pytest.approx(uncertainty, abs=5e-4)


def test_discount_conflict_makes_disagreement_uncertain() -> None:
    fused = combine(discount_conflict(disagreeing()), Rule.DEMPSTER)
    assert float(fused.uncertainty) == pytest.approx(0.63, abs=0.01)


def test_discount_conflict_leaves_a_single_opinion() -> None:
    only = disagreeing()[0]
    assert_same(discount_conflict([only])[0], masses(only))
    assert float(largest_conflict([only])) == 0


@given(st.lists(opinions, min_size=2, max_size=4))
def test_agreement_is_a_share_that_the_vacuous_do_not_change(views: list[Opinion]) -> None:
    trusts = agreement(views)
    assert all(0 <= float(trust) <= 1 for trust in trusts)
    assert agreement([*views, Opinion.vacuous(CLASSES)])[:-1] == pytest.approx(trusts, abs=1e-9)


@given(opinions, opinions)
def test_agreement_of_two_is_what_conflict_leaves(a: Opinion, b: Opinion) -> None:
    expected = 1 - float(conflict(a, b))
    assert agreement([a, b]) == pytest.approx([expected, expected], abs=EXACT)


def test_discount_conflict_trusts_a_majority() -> None:
    one, other = disagreeing()
    trusts = agreement([one, one, other])
    assert [float(trust) for trust in trusts] == pytest.approx([0.594, 0.594, 0.118], abs=1e-3)
    fused = combine(discount_conflict([one, one, other]), Rule.DEMPSTER)
    assert int(fused.projected.argmax()) == 0
    assert float(fused.uncertainty) < 0.4


def test_discount_conflict_of_three_ways_leaves_little() -> None:
    views = [Opinion.from_evidence(60 * np.eye(CLASSES)[i]) for i in range(3)]
    assert float(combine(discount_conflict(views), Rule.DEMPSTER).uncertainty) > 0.6
