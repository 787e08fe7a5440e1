"""What the service is held against: itself with constant answers, and the endpoint that most tutorials end with.

A constant is the service itself, route, door, limits, middlewares and all, in which one step is replaced. A signal
replaces it while the process runs: two processes of one program differ by a tenth in speed, by how their memory lies.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

from fastapi import FastAPI

MODEL = "model.joblib"
NEXT = signal.SIGUSR1  # to a process that serves in turns
TURNS = ("predictions", "constant", "bare_constant")


def in_turns(answer: str) -> FastAPI:
    """The service, which begins with predictions and takes the next of its turns whenever it is told to."""
    from api.app import create_app

    told = Path(answer).read_bytes()
    turns = cycle((_predictions(), partial(_constant, told), partial(_bare_constant, told)))
    next(turns)
    asyncio.get_running_loop().add_signal_handler(NEXT, lambda: next(turns)())
    return create_app(contract="telco")


def _predictions() -> Callable[[], None]:
    """What puts the service's own steps back in their places."""
    from api import predictions

    predicted, quick_answer = predictions.predicted, predictions.quick_answer

    def put_back() -> None:
        predictions.predicted, predictions.quick_answer = predicted, quick_answer

    return put_back


def _constant(told: bytes) -> None:
    """Reads and checks each customer as the service does, and then takes this for his prediction."""
    from api import predictions

    predictions.predicted = lambda customer, champions, as_of: told


def _bare_constant(told: bytes) -> None:
    """Goes through the door and the limits, and answers by these bytes without a look at the customer."""
    from fastapi import Request, Response

    from api import predictions
    from api.models import pinned_champions

    async def quick_answer(request: Request) -> Response:
        await predictions.within_limit(request, await predictions.principal_of(request))
        await pinned_champions(request)
        return Response(told, media_type=predictions.JSON)

    predictions.quick_answer = quick_answer


def naive(folder: str) -> FastAPI:
    """A pipeline from a joblib file, fed a frame of one row."""
    import joblib
    import pandas as pd

    model, app = joblib.load(Path(folder) / MODEL), FastAPI()

    @app.post("/api/v1/predictions")
    def predict(customer: dict[str, Any]) -> dict[str, float]:
        return {"probability": float(model.predict_proba(pd.DataFrame([customer]))[0, 1])}

    return app


def train_naive(customer: dict[str, Any], folder: Path) -> None:
    """Fits and keeps the pipeline on rows like this customer."""
    import joblib
    import numpy as np
    import pandas as pd
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    dice = np.random.default_rng(1)
    rows = pd.DataFrame([customer] * 2_000)
    for name in rows.select_dtypes("number"):
        rows[name] = rows[name] * dice.uniform(0.5, 2.0, len(rows))
    words = make_column_selector(dtype_exclude="number")
    columns = make_column_transformer(
        (SimpleImputer(), make_column_selector(dtype_include="number")),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), words),
    )
    model = make_pipeline(columns, HistGradientBoostingClassifier())
    joblib.dump(model.fit(rows, dice.random(len(rows)) < 0.1), folder / MODEL)


def serve(which: str, port: int, given: str) -> None:
    """Serves one of them, as `churn serve` would."""
    import uvicorn

    from api.logs import log_as_json
    from api.server import SWITCH_SECONDS, configuration

    log_as_json()
    if which == "naive":
        uvicorn.run(naive(given), port=port, log_config=None, access_log=False)
        return
    config = configuration("telco", "127.0.0.1", port, 1)
    config.app = partial(in_turns, given)
    sys.setswitchinterval(SWITCH_SECONDS)
    asyncio.run(uvicorn.Server(config).serve())


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), sys.argv[3])
