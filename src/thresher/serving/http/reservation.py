"""The bytes of the service's budget that one HTTP request has reserved, from its headers to its answer."""

from __future__ import annotations

from threading import Lock

from starlette.types import Scope

from thresher.serving.core.byte_budget import ByteBudget

EXTENSION, RESERVATION = "thresher", "reservation"
"""The keys of a request's reservation in its ASGI scope, under `extensions`."""


class Reservation:
    """The bytes reserved for one request, from any thread; `close` releases them, once."""

    __slots__ = ("_budget", "_is_over", "_lock", "num_bytes")

    def __init__(self, budget: ByteBudget | None) -> None:
        """Reserve nothing yet; without a ``budget``, as before the model is loaded, nothing is counted."""
        self._budget, self._is_over, self._lock = budget, False, Lock()
        self.num_bytes = 0

    def grow(self, num_bytes: int) -> None:
        """Reserve ``num_bytes`` more.

        Raises:
            TooLargeError: the budget is smaller than the request.
            OverloadedError: other requests hold too many bytes.
        """
        with self._lock:
            if not self._is_over and self._budget is not None:
                if not self._budget.reserve(num_bytes):
                    # A body that comes in pieces may be too large as a whole, when no later try would fit either.
                    raise self._budget.refusal(self.num_bytes + num_bytes)
                self.num_bytes += num_bytes

    def close(self) -> None:
        """Release all bytes."""
        with self._lock:
            self._is_over = True
            if self._budget is not None:
                self._budget.release(self.num_bytes)
            self.num_bytes = 0


def reservation_of(scope: Scope) -> Reservation:
    """Return the reservation of the request of ``scope``; one that counts nothing where no server of ours made it."""
    reservation = (scope.get("extensions") or {}).get(EXTENSION, {}).get(RESERVATION)
    return reservation if isinstance(reservation, Reservation) else Reservation(None)
