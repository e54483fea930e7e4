"""MLflow's own pages on the runs of a project."""

from __future__ import annotations

import os
import socket
import sys

from thresher.errors import ThresherError
from thresher.tracking.run_context import current


class AddressInUseError(ThresherError):
    """Another program listens where MLflow is to."""


def open_ui(tracking_uri: str, host: str, port: int) -> None:
    """Become `mlflow ui` on the store at ``tracking_uri``; of a server, which has pages of its own, print the address.

    Raises:
        AddressInUseError: the port is taken.
    """
    if tracking_uri.startswith(("http://", "https://")):
        print(f"The runs are on the server at {tracking_uri}: open it in a browser.")
        return
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            what = f"Cannot listen on port {port} of {host}: {error.strerror or error}"
            raise AddressInUseError(f"{what}. Fix: name another one, such as --port {port + 1}.") from error
    print(f"MLflow on {tracking_uri}: http://{host}:{port}", file=sys.stderr, flush=True)
    # The processes that wait for jobs on traces of language models, which no run has, each import all of MLflow.
    os.environ.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", tracking_uri, "--workers", "1"]
    os.execv(sys.executable, [*command, "--host", host, "--port", str(port)])


def models_page(server: str) -> str:
    """Return the address on ``server`` of the page that compares the candidates of the active run."""
    return f"{server}/#/experiments/{current().experiment_id}/models?workflowType=machine_learning"
