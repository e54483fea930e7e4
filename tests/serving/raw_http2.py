"""A client that speaks HTTP/2 as no gRPC client would: it leaves messages unfinished, or sends what is none."""

from __future__ import annotations

import socket
import struct
import time

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, ResponseReceived, StreamEnded, StreamReset, TrailersReceived
from h2.settings import SettingCodes

GRPC = ("content-type", "application/grpc")


class RawHttp2:
    """One connection to a port of 127.0.0.1."""

    def __init__(self, port: int, window: int | None = None) -> None:
        """Connect; with ``window``, the server may send so many bytes of an answer, and no more."""
        self._socket = socket.create_connection(("127.0.0.1", port), 20)
        self._http = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self._http.initiate_connection()
        if window is not None:
            self._http.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.answers: dict[int, dict[str, str]] = {}
        """By stream: the fields of its answer, trailers among them."""
        self.ended: set[int] = set()
        self._flush()

    def begin(self, path: str, *headers: tuple[str, str], method: str = "POST", is_whole: bool = False) -> int:
        """Send the head of a request and return its stream."""
        stream = self._http.get_next_available_stream_id()
        head = [(":method", method), (":scheme", "http"), (":path", path), (":authority", "x"), ("te", "trailers")]
        self._http.send_headers(stream, [*head, *headers], end_stream=is_whole)
        self._flush()
        return stream

    def send_message(self, stream: int, length: int, num_bytes: int, seconds: float) -> int:
        """Say that a message of ``length`` comes, send ``num_bytes`` of it or as many as are taken; return how many."""
        self.send(stream, struct.pack(">BI", 0, length))
        sent, end = 0, time.monotonic() + seconds
        while sent < num_bytes and stream not in self.ended:
            sent += (pushed := self.push(stream, num_bytes - sent))
            if not pushed and (time.monotonic() > end or not self.receive(end - time.monotonic())):
                break
        return sent

    def push(self, stream: int, num_bytes: int) -> int:
        """Send up to ``num_bytes`` of the body of a request, as many as the server takes now; return how many."""
        sent = 0
        while stream not in self.ended and sent < num_bytes:
            window, frame = self._http.local_flow_control_window(stream), self._http.max_outbound_frame_size
            if (room := min(window, frame, num_bytes - sent)) <= 0:
                break
            self.send(stream, bytes(room))
            sent += room
        return sent

    def offer(self, stream: int, content: bytes) -> int:
        """Send as much of ``content`` as the server takes now; return how much."""
        window, frame = self._http.local_flow_control_window(stream), self._http.max_outbound_frame_size
        part = content[: min(window, frame)]
        if part and stream not in self.ended:
            self.send(stream, part)
        return len(part)

    def send(self, stream: int, data: bytes, is_whole: bool = False) -> None:
        """Send part of the body of a request."""
        self._http.send_data(stream, data, end_stream=is_whole)
        self._flush()

    def receive(self, seconds: float = 20) -> bool:
        """Take in what comes next, and return whether anything did."""
        self._socket.settimeout(max(0.001, seconds))
        try:
            content = self._socket.recv(2**16)
        except TimeoutError:
            return False
        for event in self._http.receive_data(content):
            self._note(event)
        self._flush()
        return bool(content)

    def answer(self, stream: int, seconds: float = 20) -> dict[str, str]:
        """Return the fields of the whole answer on ``stream``; none where it was reset."""
        end = time.monotonic() + seconds
        while stream not in self.ended:
            assert time.monotonic() < end and self.receive(end - time.monotonic()), "no answer"
        return self.answers.get(stream, {})

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _note(self, event: Event) -> None:
        if isinstance(event, ResponseReceived | TrailersReceived):
            fields = {str(name): str(value) for name, value in event.headers}
            self.answers.setdefault(event.stream_id or 0, {}).update(fields)
        elif isinstance(event, DataReceived) and event.stream_id:
            self._http.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id)
        elif isinstance(event, StreamEnded | StreamReset) and event.stream_id:
            self.ended.add(event.stream_id)

    def _flush(self) -> None:
        self._socket.sendall(self._http.data_to_send())
