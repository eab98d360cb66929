"""Tests of the yardstick and of the load generator: a benchmark is worth what its echo and its verification are worth.

Run with: python3 bench/test_bench.py
"""

import os
import socket
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path

BENCH = Path(__file__).resolve().parent
LIMIT_SECONDS = 30


def setUpModule():
    global built, c_epoll, load
    built = tempfile.TemporaryDirectory()
    c_epoll, load = (Path(built.name) / name for name in ("c_epoll", "load"))
    for source, target in ((BENCH / "peers/c-epoll/c_epoll.c", c_epoll), (BENCH / "load/load.c", load)):
        subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined", "-o", target, source], check=True)


def tearDownModule():
    built.cleanup()


def run_load(port, *arguments, stdin=None):
    return subprocess.run([load, "--port", str(port), *arguments], input=stdin, capture_output=True, text=True, timeout=LIMIT_SECONDS)


class FaultyServer:
    """An echo server, one thread a connection, whose echo is spoilt by a function (bytes, bytes so far) -> bytes or None to close."""

    def __init__(self, spoil):
        self._spoil = spoil
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._echo, args=(connection,), daemon=True).start()

    def _echo(self, connection):
        count = 0
        with connection:
            try:
                while received := connection.recv(65536):
                    answer = self._spoil(received, count)
                    if answer is None:
                        return
                    connection.sendall(answer)
                    count += len(received)
            except OSError:
                return


class LoadTests(unittest.TestCase):
    def assert_fails_with(self, reason, spoil, *arguments):
        with FaultyServer(spoil) as server:
            result = run_load(server.port, "--seconds", "0.5", *arguments)
        self.assertEqual(result.returncode, 1, result.stdout)
        self.assertIn(reason, result.stderr)
        self.assertEqual(result.stdout, "")

    def test_a_faithful_echo_passes(self):
        with FaultyServer(lambda received, _: received) as server:
            result = run_load(server.port, "--connections", "3", "--in-flight", "4", "--seconds", "0.5")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("messages=", result.stdout)

    def test_one_flipped_bit_is_found(self):
        def flip(received, count):
            return received[:-1] + bytes([received[-1] ^ 1]) if count >= 64 * 100 else received
        self.assert_fails_with("wrong byte", flip)

    def test_two_swapped_messages_are_found(self):
        def swap(received, _):
            return received[64:128] + received[:64] + received[128:] if len(received) >= 128 else received
        self.assert_fails_with("wrong byte", swap, "--in-flight", "4")

    def test_a_doubled_message_is_found(self):
        self.assert_fails_with("came back, only", lambda received, _: received + received)

    def test_a_message_that_reaches_another_connection_is_found(self):
        first = []

        def mix_up(received, _):
            first.append(received)
            return first[0]
        self.assert_fails_with("wrong byte", mix_up, "--connections", "2")

    def test_a_lost_byte_is_found(self):
        self.assert_fails_with("no echo for", lambda received, _: received[:-1])

    def test_a_closed_connection_is_found(self):
        self.assert_fails_with("closed", lambda received, count: None if count >= 64 * 100 else received)

    def test_an_early_close_is_found_by_churn(self):
        self.assert_fails_with("closed by the server", lambda *_: None, "--churn")

    def test_a_server_that_closes_idle_connections_is_found(self):
        listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=lambda: listener.accept()[0].close(), daemon=True).start()
        result = run_load(listener.getsockname()[1], "--idle", "1", "--seconds", "2")
        listener.close()
        self.assertEqual(result.returncode, 1)
        self.assertIn("idle", result.stderr)

    def test_nothing_listening_is_an_error(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        result = run_load(port)
        self.assertEqual(result.returncode, 1)
        self.assertIn("Connection refused", result.stderr)


class YardstickTests(unittest.TestCase):
    def setUp(self):
        self.server = subprocess.Popen([c_epoll, "--port", "0"], stdout=subprocess.PIPE, text=True)
        line = self.server.stdout.readline()
        self.assertRegex(line, r"^listening on 127\.0\.0\.1:\d+\n$")
        self.port = int(line.rsplit(":", 1)[1])

    def tearDown(self):
        # A memory error would have ended it before, with a report of the sanitizer.
        self.assertIsNone(self.server.poll())
        self.server.kill()
        self.server.wait()
        self.server.stdout.close()

    def connect(self):
        client = socket.create_connection(("127.0.0.1", self.port))
        client.settimeout(LIMIT_SECONDS)
        return client

    def assert_serves(self, *arguments, stdin=None):
        result = run_load(self.port, *arguments, stdin=stdin)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def descriptor_count(self):
        return len(os.listdir(f"/proc/{self.server.pid}/fd"))

    def test_every_shape_of_load_comes_back_intact(self):
        for connections, size, in_flight in ((1, 1, 1), (64, 64, 16), (64, 16384, 1), (64, 16384, 16), (4, 1000003, 5), (3, 65536, 64)):
            with self.subTest(connections=connections, size=size, in_flight=in_flight):
                self.assert_serves("--connections", str(connections), "--size", str(size), "--in-flight", str(in_flight),
                                   "--seconds", "0.5")

    def test_a_generator_that_never_sleeps_measures_the_same_and_still_ends(self):
        self.assertIn("messages=", self.assert_serves("--mode", "ping-pong", "--spin", "--seconds", "0.2"))

    def test_rounds_from_stdin_are_one_line_each(self):
        lines = self.assert_serves("--rounds-from-stdin", "--connections", "8", stdin="0.1\n0.1\n0.1\n").splitlines()
        self.assertEqual(lines[0], "ready")
        self.assertEqual([line.split("=")[0] for line in lines[1:]], ["messages"] * 3)

    def test_churn_and_idle_leave_no_descriptor_behind(self):
        before = self.descriptor_count()

        self.assert_serves("--churn", "--connections", "16", "--seconds", "0.5")
        self.assert_serves("--idle", "100", "--seconds", "0.2")

        give_up = time.monotonic() + LIMIT_SECONDS
        while self.descriptor_count() > before and time.monotonic() < give_up:
            time.sleep(0.01)
        self.assertEqual(self.descriptor_count(), before)

    def test_a_peer_that_sends_without_reading_gets_everything_in_order_later(self):
        sent = os.urandom(32 * 1024 * 1024)
        with self.connect() as client:
            sender = threading.Thread(target=client.sendall, args=(sent,))
            sender.start()
            time.sleep(0.5)  # long enough for both directions to fill and the server's writes to come up short
            self.assertTrue(sender.is_alive(), "the buffers took everything, so nothing was tested")

            received = bytearray()
            while len(received) < len(sent):
                received += client.recv(1 << 20)

            sender.join()
        self.assertEqual(received, sent)

    def test_everything_sent_before_a_half_close_comes_back_before_the_end(self):
        for size in (1, 65536, 65537, 32 * 1024 * 1024):
            with self.subTest(size=size), self.connect() as client:
                sent = os.urandom(size)

                def send_and_shut():
                    client.sendall(sent)
                    client.shutdown(socket.SHUT_WR)
                sender = threading.Thread(target=send_and_shut)
                sender.start()
                if size > 1 << 20:
                    time.sleep(0.3)
                received = bytearray()
                while part := client.recv(1 << 20):
                    received += part
                sender.join()

                self.assertEqual(received, sent)

    def test_a_reset_connection_disturbs_nobody(self):
        with self.connect() as client:
            client.sendall(b"x" * 1_000_000)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.assert_serves("--connections", "4", "--seconds", "0.2")


if __name__ == "__main__":
    unittest.main()
