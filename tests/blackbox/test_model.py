# SPDX-License-Identifier: BSD-2-Clause
"""Random calls from all origins, each reply of which a model checks: some
seconds of what `make soak` does for hours."""
import pytest

from load import Load


@pytest.mark.needs("several users")
@pytest.mark.parametrize("seed", range(4))
def test_random_calls(tmp_path, seed):
    load = Load(seed, tmp_path)
    try:
        for _ in range(500):
            load.step()
        load.stop()
    except Exception:
        print(load, *load.daemon.lines(), sep="\n")
        raise
    finally:
        load.close()
