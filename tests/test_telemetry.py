"""No dependency phones home: not from Thresher's code, and not from the tools that are used beside it."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SWITCHES = {
    "DO_NOT_TRACK": "true",
    "KEDRO_DISABLE_TELEMETRY": "true",
    "BENTOML_DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GX_ANALYTICS_ENABLED": "false",
    "ORT_DISABLE_TELEMETRY": "1",
}


def environment_after(code: str, **extra: str) -> dict[str, str]:
    """Return the environment of a fresh Python that ran ``code``, without any of the switches set before."""
    clean = {name: value for name, value in os.environ.items() if name not in SWITCHES}
    report = "; import os; print('\\n'.join(f'{k}={v}' for k, v in os.environ.items()))"
    command = [sys.executable, "-S", "-c", code + report]
    done = subprocess.run(command, env=clean | extra, capture_output=True, text=True, check=True)
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)


def test_importing_thresher_switches_every_telemetry_off() -> None:
    environment = environment_after(f"import sys; sys.path.insert(0, {str(ROOT / 'src')!r}); import thresher")
    assert {name: environment.get(name) for name in SWITCHES} == SWITCHES


def test_a_users_own_choice_stays() -> None:
    code = f"import sys; sys.path.insert(0, {str(ROOT / 'src')!r}); import thresher"
    assert environment_after(code, MLFLOW_DISABLE_TELEMETRY="false")["MLFLOW_DISABLE_TELEMETRY"] == "false"


def test_the_installed_environment_switches_the_same_off_for_every_tool() -> None:
    environment = environment_after((ROOT / "scripts" / "no_telemetry.pth").read_text(encoding="utf-8").strip())
    assert {name: environment.get(name) for name in SWITCHES} == SWITCHES


def test_the_libraries_heed_the_switches() -> None:
    code = (
        "import thresher, mlflow.telemetry.utils as m; from bentoml._internal.utils.analytics import usage_stats as b; "
        "assert m.is_telemetry_disabled() and b.do_not_track(), (m.is_telemetry_disabled(), b.do_not_track())"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_kedros_consent_file_says_no() -> None:
    assert (ROOT / ".telemetry").read_text(encoding="utf-8").strip() == "consent: false"
