"""How work grows with the size of its input: what is bounded for any input is compared at two sizes."""

import time
from collections.abc import Callable


def seconds_of(work: Callable[[], object]) -> float:
    """Processor seconds of the fastest of three runs."""
    taken = []
    for _ in range(3):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken)


def grows_in_proportion(work: Callable[[int], object], size: int) -> bool:
    """Whether four times the size takes about four times as long, not sixteen: there is room for a busy machine."""
    small, large = (seconds_of(lambda size=many: work(size)) for many in (size, 4 * size))
    return large < 9 * small + 0.02
