"""What every fit over ranks begins with, a model's or a transformer's: a transport, equal arguments, rows as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, check_X_y, validate_data

from newtonfl.comm.collective import allgather
from newtonfl.comm.envelope import pack
from newtonfl.comm.transport import InProcess, Transport
from newtonfl.core.backend import Array
from newtonfl.datasets.frames import native, rows_of


class OverRanks(BaseEstimator):
    """An estimator whose rows may lie on several ranks, as its parameter `ranks` says."""

    ranks: str | None

    def _transport(self) -> Transport:
        if self.ranks not in (None, "same", "own"):
            raise ValueError(f'ranks: given {self.ranks!r}, allowed are None, "same", "own"')
        if self.ranks is None:
            return InProcess()
        from newtonfl.comm.mpi import connect

        return connect()

    def _arguments(self, more: Mapping[str, Any]) -> dict[str, str]:
        """What every rank must pass alike, by name: the parameters, and `more`, which counts where both have a name."""
        values: dict[str, Any] = {"estimator": type(self).__name__}
        for key, value in {**self.get_params(deep=False), **more}.items():
            number = isinstance(value, (float, np.floating))
            values[key] = float(value) if number else sorted(value.items()) if isinstance(value, dict) else value
        return {key: repr(value) for key, value in values.items() if key not in ("random_state", "verbose")}

    def _common_seed(self, arguments: dict[str, str], seed: int, transport: Transport) -> int:
        """Refuse ranks that pass other arguments; the seed of all, which is rank 0's. Collective."""
        everyone = [values for _, values in allgather(pack({}, arguments=arguments, seed=seed), transport)]
        with transport.agreed("comparing the ranks' arguments"):
            first = everyone[0]["arguments"]
            for rank, values in enumerate(everyone):
                for key, value in values["arguments"].items():
                    if value != first.get(key):
                        raise ValueError(f"rank {rank} was given {key}={value}, and rank 0 {key}={first.get(key)}")
            return int(everyone[0]["seed"])

    def _read(self, X: Array, *y: Array, reset: bool, **checks: Any) -> Any:
        """X, and y where it is passed, as scikit-learn checks them: of a table its names, then its numbers."""
        checks = {"accept_sparse": "csr", "dtype": [np.float64, np.float32], **checks}
        rows, _ = rows_of(X, gaps=checks.get("ensure_all_finite") == "allow-nan")
        if rows is X:
            return validate_data(self, X, *y, reset=reset, **checks)
        validate_data(self, native(X), reset=reset, skip_check_array=True)
        return check_X_y(rows, *y, estimator=self, **checks) if y else check_array(rows, estimator=self, **checks)
