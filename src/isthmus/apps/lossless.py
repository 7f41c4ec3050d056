"""Lossless compression."""

import numpy as np

from .ans import Stack
from .integer import IntegerNetwork

_MOST_LANES = 256


def bits_back(network: IntegerNetwork, levels: np.ndarray) -> bytes:
    stack = Stack()
    lanes = lanes_of(len(levels))
    posterior = network.posterior(levels)
    for start, stop in steps(len(levels), lanes):
        if stop - start > len(stack.heads):
            stack.widen(stop - start)
        mean, sharpness = (part[start:stop] for part in posterior)
        code = np.empty_like(mean)
        for place in range(network.n_components):
            own = mean[:, place], sharpness[:, place]
            code[:, place] = network.find_code(own, stack.slots(stop - start))
            stack.pop(*network.code_slots(own, code[:, place]))
        for starts, counts in network.pixel_slots(network.decode(code), levels[start:stop]):
            for channel in reversed(range(network.channels)):
                stack.push(starts[:, channel], counts[:, channel])
        for place in reversed(range(network.n_components)):
            stack.push(*network.prior_slots(code[:, place]))
    return stack.to_bytes()


def bits_forth(network: IntegerNetwork, message: bytes, count: int) -> np.ndarray:
    lanes = lanes_of(count)
    levels = np.empty((count, network.height * network.width, network.channels), np.int64)
    plan = steps(count, lanes)
    stack = Stack.from_bytes(message, max(b - a for a, b in plan))
    for start, stop in reversed(plan):
        many = max(b - a for a, b in plan if a <= start)
        if many < len(stack.heads):
            stack.narrow(many)
        code = np.empty((stop - start, network.n_components), np.int64)
        for place in range(network.n_components):
            code[:, place] = network.find_prior(stack.slots(stop - start))
            stack.pop(*network.prior_slots(code[:, place]))
        levels[start:stop] = network.read_pixels(network.decode(code), stack)
        mean, sharpness = network.posterior(levels[start:stop])
        for place in reversed(range(network.n_components)):
            stack.push(*network.code_slots((mean[:, place], sharpness[:, place]), code[:, place]))
    stack.narrow(0)
    if not stack.only_ground:
        raise ValueError("ground differs")
    return levels


def lanes_of(count: int) -> int:
    return min(_MOST_LANES, 1 << max(0, (count // 64).bit_length() - 1))


def steps(count: int, lanes: int) -> list[tuple[int, int]]:
    plan, start = [], 0
    while start < count:
        stop = min(count, start + max(1, min(lanes, start // 4)))
        plan.append((start, stop))
        start = stop
    return plan
