"""What a population changes, as numbers that Tune's schedulers work with."""

import math
from typing import Any

import pytest

from sweeps.population.genes import Gene
from sweeps.space.domains import Sampled, read_domain


def gene_of(domain: dict[str, Any], *, logarithmic: bool = False) -> Gene:
    read = read_domain(domain)
    assert isinstance(read, Sampled)
    return Gene(read, logarithmic=logarithmic)


@pytest.mark.parametrize(
    ("domain", "number", "value"),
    [
        ({"uniform": [0.1, 0.9]}, 1.08, 0.9),
        ({"uniform": [0.1, 0.9]}, 0.5, 0.5),
        ({"int": [1, 14]}, 2.4, 2),
        ({"int": [1, 14]}, 0.8, 1),
        ({"logint": [1, 14]}, 16.8, 14),
        ({"quniform": [0.1, 0.5, 0.1]}, 0.36, 0.4),
        ({"choice": [0.9, 0.8, 0.99]}, 0.9, 0.9),
    ],
)
def test_a_number_that_tune_came_up_with_is_put_back_into_its_domain(domain, number, value):
    assert gene_of(domain).decode(number) == value


def test_a_choice_moves_to_its_neighbour_by_size():
    assert gene_of({"choice": [0.9, 0.8, 0.99]}).mutation == [0.8, 0.9, 0.99]


def test_pb2_sees_orders_of_magnitude_as_equal_steps():
    gene = gene_of({"loguniform": [1e-4, 1]}, logarithmic=True)
    assert gene.bounds == pytest.approx([math.log(1e-4), 0])
    assert gene.decode(gene.encode(0.01)) == pytest.approx(0.01)
