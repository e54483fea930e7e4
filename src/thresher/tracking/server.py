"""A tracking server that may be away: asked for before a run, and given up on soon within one."""

from __future__ import annotations

import os

from thresher.adapters.mlflow import is_failure_of_server
from thresher.tracking.run_context import TrackingError, current

CONNECT_S, ANSWER_S = 3, 5


def require_server() -> None:
    """See that the tracking server answers, within seconds; a SQLite store always does.

    Raises:
        TrackingError: it does not.
    """
    if reason := why_away():
        uri = current().tracking_uri
        fix = "Start the server, or name another in MLFLOW_TRACKING_URI or conf/*/mlflow.yml"
        raise TrackingError(f"MLflow at {uri}: it does not answer: {reason}. {fix}. Nothing was run.")


def why_away() -> str:
    """Return why the tracking server cannot be used now, in a few words; nothing where it can."""
    uri = current().tracking_uri
    if not uri.startswith(("http://", "https://")):
        return ""
    import requests

    verify = os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or True
    if os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("true", "1"):
        verify = False
    try:
        answer = requests.get(f"{uri.rstrip('/')}/health", timeout=(CONNECT_S, ANSWER_S), verify=verify)
    except requests.exceptions.SSLError:  # it is there; what MLflow makes of its certificate, it says itself
        return ""
    except requests.Timeout:
        return f"no answer within {ANSWER_S} s"
    except requests.RequestException as error:
        return "nothing listens there" if "refused" in str(error) else f"it cannot be reached ({type(error).__name__})"
    return f"it answers {answer.status_code} {answer.reason}" if answer.status_code >= 500 else ""


def refusal(tracking_uri: str, error: Exception) -> TrackingError:
    """Return the error for a tracking server that raised ``error``."""
    if is_away(error):
        fix = "Fix: start the server and run again; finished steps are reused, and the winner is registered then."
        return TrackingError(f"MLflow at {tracking_uri} is away, and its registry with it. {fix}")
    hint = "Start the server, or unset MLFLOW_TRACKING_URI to write into the project."
    return TrackingError(f"MLflow at {tracking_uri}: {error}\n{hint}")


def is_away(error: BaseException | None) -> bool:
    """Return whether ``error`` came of a server that is away or broken, and not of what it was asked."""
    from mlflow.exceptions import MlflowException, RestException
    from requests import HTTPError, RequestException

    while error is not None:
        if isinstance(error, HTTPError) and error.response is not None:
            return error.response.status_code >= 500
        if isinstance(error, RestException):
            return bool(error.get_http_status_code() >= 500)
        if isinstance(error, RequestException | ConnectionError):
            return True
        if isinstance(error, MlflowException) and is_failure_of_server(error):
            return True
        error = error.__cause__ or error.__context__
    return False
