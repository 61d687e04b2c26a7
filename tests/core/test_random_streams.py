from itertools import product

import numpy as np
import pytest
import torch

from resnet_core.random_streams import Stream, derived_seed, numpy_generator, torch_generator

PLACES = list(product(range(3), Stream, range(20)))  # seed, stream, counter


def test_the_numbers_of_the_streams_are_fixed():
    # They are part of what a recipe's seed means, so a new stream takes a new number.
    assert {stream.name: stream.value for stream in Stream} == {
        "ORDER": 1,
        "SHIFT": 2,
        "IMAGE": 3,
        "MIX": 4,
        "COL_OUT": 5,
        "DEPTH": 6,
        "HOLD_OUT": 7,
        "CROP": 8,
    }


def test_every_seed_stream_and_counter_has_a_derived_seed_of_its_own():
    seeds = {derived_seed(*place) for place in PLACES}
    assert len(seeds) == len(PLACES) == 3 * 8 * 20


def test_every_seed_stream_and_counter_has_numpy_numbers_of_its_own():
    numbers = {numpy_generator(*place).random() for place in PLACES}
    assert len(numbers) == len(PLACES)


def test_every_seed_stream_and_counter_has_torch_numbers_of_its_own():
    numbers = {torch.rand(2, generator=torch_generator(*place)).sum().item() for place in PLACES}
    # Float32 sums coincide by chance once in 2^24: 420 numbers make 88,000 pairs.
    assert len(numbers) >= len(PLACES) - 1


def test_the_same_numbers_repeat_whatever_was_drawn_before():
    first = numpy_generator(1, Stream.MIX, 5)
    drawn = first.random(3).tolist()
    first.random(100)
    assert numpy_generator(1, Stream.MIX, 5).random(3).tolist() == drawn
    assert derived_seed(1, Stream.MIX, 5) == derived_seed(1, Stream.MIX, 5)
    depth = [torch_generator(1, Stream.DEPTH, 5) for _ in range(2)]
    assert torch.equal(torch.rand(3, generator=depth[0]), torch.rand(3, generator=depth[1]))


def test_counters_are_told_apart_by_their_place():
    seeds = {derived_seed(0, Stream.IMAGE, epoch, image) for epoch, image in
             product(range(1, 30), range(1, 30))}  # fmt: skip
    assert len(seeds) == 29 * 29


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
def test_a_derived_seed_is_a_whole_number_below_2_to_the_63(seed):
    seeds = [derived_seed(seed, Stream.IMAGE, epoch, 1_281_166) for epoch in range(200)]
    assert all(isinstance(one, int) for one in seeds)
    assert min(seeds) >= 0
    # Half of 64 uniform bits are above 2^62: all 200 below would be no full range.
    assert 2**62 < max(seeds) < 2**63


def test_torch_and_numpy_accept_a_derived_seed():
    for step in range(100):
        seed = derived_seed(0, Stream.DEPTH, step)
        assert torch.Generator().manual_seed(seed).initial_seed() == seed
        np.random.default_rng(seed)


def test_a_torch_generator_is_seeded_with_the_derived_seed():
    generator = torch_generator(3, Stream.ORDER, 8)
    assert generator.initial_seed() == derived_seed(3, Stream.ORDER, 8)
    assert generator.device.type == "cpu"


def test_making_generators_leaves_the_global_ones_alone():
    before = torch.get_rng_state()
    torch.rand(3, generator=torch_generator(0, Stream.ORDER, 0))
    numpy_generator(0, Stream.MIX, 0).random()
    assert torch.equal(torch.get_rng_state(), before)


def test_a_negative_counter_is_refused():
    with pytest.raises(ValueError, match="non-negative"):
        derived_seed(0, Stream.ORDER, -1)
