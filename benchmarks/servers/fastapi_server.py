"""The service that a tutorial would show: FastAPI under uvicorn, ONNX Runtime called for each request."""

from __future__ import annotations

import sys

import numpy as np
import uvicorn
from fastapi import FastAPI, Request
from in_process import open_model
from pydantic import BaseModel

session, name = open_model(sys.argv[1])
app = FastAPI()


class Image(BaseModel):
    """A grey image."""

    image: list[list[int]]


class Prediction(BaseModel):
    """The most likely class, and all probabilities."""

    label: int
    probabilities: list[float]


@app.post("/json")
async def predict(image: Image) -> Prediction:
    """Answer JSON with JSON."""
    pixels = np.array(image.image, np.uint8)[None, None]
    probabilities = session.run(None, {name: pixels})[0][0]
    return Prediction(label=int(probabilities.argmax()), probabilities=probabilities.tolist())


@app.post("/raw")
async def predict_raw(request: Request) -> Prediction:
    """Answer raw pixels with JSON."""
    pixels = np.frombuffer(await request.body(), np.uint8).reshape(1, 1, 28, 28)
    probabilities = session.run(None, {name: pixels})[0][0]
    return Prediction(label=int(probabilities.argmax()), probabilities=probabilities.tolist())


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="warning", access_log=False)
