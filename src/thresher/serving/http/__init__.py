"""The HTTP ports: typed REST and the Open Inference Protocol on uvicorn, within bounds."""
