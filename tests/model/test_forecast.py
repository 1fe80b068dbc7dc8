"""What a forecast expects, worked out by hand from its quantiles."""

import numpy as np
import pytest

from vpp.model.forecast import LEVELS, mean_of


@pytest.mark.parametrize(
    ("fan", "mean"),
    [
        pytest.param([-4.0] * 9, -4.0, id="certain"),
        pytest.param([-8.0, -4, -3, -2, 0, 2, 3, 4, 8], 0.0, id="even on both sides"),
        # 0.925 … 1 lies nearest to the outermost level, 0.85 … 0.925 to the one before it.
        pytest.param(
            [0.0, 0, 0, 0, 0, 0, 0, 10, 40], 0.075 * 10 + 0.075 * 40, id="seldom and much"
        ),
    ],
)
def test_the_mean_weighs_each_quantile_by_what_lies_nearest_to_its_level(
    fan: list[float], mean: float
) -> None:
    assert mean_of(np.array(fan)[:, None]) == pytest.approx([mean])


def test_a_certain_value_is_its_mean_to_the_last_bit() -> None:
    assert mean_of(np.full((len(LEVELS), 3), 0.1)).tolist() == [0.1] * 3
