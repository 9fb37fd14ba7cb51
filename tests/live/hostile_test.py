"""Peers that mean harm: each is refused and counted, honest agents go on, and memory stays flat.

Usage: hostile_test.py [unittest arguments]; EVENKEEL_BIN is the folder of the programs.
"""

import contextlib
import pathlib
import socket
import struct
import threading
import time
import unittest

import msgpack
import numpy
import zmq

from live_test import DEADLINE_S, MEMORY_FACTOR, TRACE, free_endpoint
from operate_test import Operated

MEGABYTE = 1 << 20
# Of peers that never end a message, whatever else the machine has to do. An empty frame is 2 bytes on the wire and 64 in
# ZeroMQ's queue: all strangers' 1 MiB, with the 64 KiB that the kernel has of each of 20, are 75 MB; one agent's 2.1 MiB are
# 70 MB; and more comes until the guard looks.
UNFINISHED_MAX = 128 * MEGABYTE
MORE, LONG, COMMAND = 1, 2, 4
ENDLESS = {"of one byte": bytes([MORE, 1, 0]) * 20_000, "empty": bytes([MORE, 0]) * 30_000,
           "of a megabyte": bytes([MORE | LONG]) + struct.pack(">Q", MEGABYTE) + bytes(MEGABYTE)}


def resident(pid):
    fields = pathlib.Path(f"/proc/{pid}/statm").read_text().split()
    return int(fields[1]) * 4096


class Peak:
    """The most memory that a process has while the block runs, above what it had before."""

    def __init__(self, pid):
        self.pid = pid

    def __enter__(self):
        self.base = self.most = resident(self.pid)
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def watch(self):
        while not self.done.wait(0.005):
            self.most = max(self.most, resident(self.pid))

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()

    @property
    def growth(self):
        return self.most - self.base


class RawPeer:
    """Speaks ZMTP 3.0 with the NULL mechanism by hand."""

    def __init__(self, endpoint):
        host, port = endpoint.removeprefix("tcp://").split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=DEADLINE_S)
        self.socket.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32))

    def shake_hands(self, kind="DEALER"):
        self.read(64)
        body = b"\x05READY\x0bSocket-Type" + struct.pack(">I", len(kind)) + kind.encode()
        self.socket.sendall(bytes([COMMAND, len(body)]) + body)
        flags, size = self.read(2)
        assert flags == COMMAND
        self.read(size)

    def send(self, frames):
        for number, frame in enumerate(frames):
            more = MORE if number + 1 < len(frames) else 0
            self.socket.sendall(bytes([more | LONG]) + struct.pack(">Q", len(frame)) + frame)

    def read(self, size):
        data = b""
        while len(data) < size:
            piece = self.socket.recv(size - len(data))
            if not piece:
                raise ConnectionResetError
            data += piece
        return data

    def send_until_closed(self, data):
        """Whether the other side ended it; and the bytes it took."""
        deadline, sent = time.monotonic() + DEADLINE_S, 0
        self.socket.settimeout(0.05)
        while time.monotonic() < deadline:
            try:
                sent += self.socket.send(data)
            except TimeoutError:
                # It takes no more: because it is slow, or because it has gone?
                if self.has_ended():
                    return True, sent
            except OSError:
                return True, sent
        return False, sent

    def has_ended(self):
        with contextlib.suppress(TimeoutError):
            while self.socket.recv(4096):
                pass
            return True
        return False


class HostileTest(unittest.TestCase):
    def setUp(self):
        self.group = Operated(self)
        self.context = zmq.Context()
        self.addCleanup(self.context.destroy, 0)

    def unconnected(self):
        dealer = self.context.socket(zmq.DEALER)
        self.addCleanup(dealer.close, 0)
        return dealer

    def start(self, **settings):
        """A service with two honest agents that have reported; its process id."""
        rebalancer = self.group.rebalancer(min_tokens=1_000_000_000, **settings)
        return rebalancer.pid

    def wait_for_agents(self):
        self.group.wait_until("two agents", lambda: self.group.present() == 2)
        self.wait_for('evenkeel_reports_total{result="accepted"}', 4)

    def wait_for(self, name, least):
        return self.group.wait_until(f"{name} of {least}", lambda: self.group.metrics().get(name, 0) >= least)

    def assert_flat(self, peak, most):
        self.assertLess(peak.growth, most * MEMORY_FACTOR)

    def assert_reports_go_on(self):
        accepted = 'evenkeel_reports_total{result="accepted"}'
        before = self.group.metrics()[accepted]
        self.wait_for(accepted, before + 10)

    def assert_honest_agents_go_on(self):
        self.assert_reports_go_on()
        # On a slow machine one may just have been away for a lease.
        self.group.wait_until("both agents", lambda: self.group.present() == 2)

    def raw_peer(self, endpoint=None):
        peer = RawPeer(endpoint or self.group.bind)
        self.addCleanup(peer.socket.close)
        return peer

    def attack(self, peer, data):
        closed, sent = peer.send_until_closed(data)
        self.assertTrue(closed, f"took {sent} bytes")

    def dealer(self):
        dealer = self.unconnected()
        dealer.connect(self.group.bind)
        return dealer


class PlainTest(HostileTest):
    def setUp(self):
        super().setUp()
        self.pid = self.start()
        for rank in (0, 1):
            self.group.agent(rank)
        self.wait_for_agents()

    def test_a_frame_that_says_it_has_two_gigabytes(self):
        with Peak(self.pid) as peak:
            for with_handshake in (False, True):
                peer = self.raw_peer()
                if with_handshake:
                    peer.shake_hands()
                peer.socket.sendall(bytes([LONG]) + struct.pack(">Q", 2 << 30))
                closed, sent = peer.send_until_closed(bytes(MEGABYTE))
                self.assertTrue(closed, f"took {sent} bytes")
                self.assertLess(sent, 32 * MEGABYTE)
        self.wait_for('evenkeel_connections_total{event="closed_without_message"}', 2)
        self.assert_flat(peak, 16 * MEGABYTE)
        self.assert_honest_agents_go_on()

    def test_a_message_of_very_many_frames(self):
        dealer = self.dealer()
        with Peak(self.pid) as peak:
            for _ in range(5):
                dealer.send_multipart([b"x"] * 50_000)
            self.wait_for('evenkeel_messages_dropped_total{reason="too_many_frames"}', 5)
        self.assert_flat(peak, 64 * MEGABYTE)
        self.assert_honest_agents_go_on()

    def test_messages_whose_frames_never_end(self):
        with Peak(self.pid) as peak:
            for data in ENDLESS.values():
                for before in range(5):
                    peer = self.raw_peer()
                    peer.shake_hands()
                    for _ in range(before):
                        peer.send([b"x", b"y"])
                    self.attack(peer, data)
        self.wait_for('evenkeel_connections_refused_total{reason="unfinished_message"}', 5 * len(ENDLESS))
        self.assert_flat(peak, UNFINISHED_MAX)
        self.assert_honest_agents_go_on()

    def test_many_messages_at_once_whose_frames_never_end(self):
        with Peak(self.pid) as peak:
            peers = [self.raw_peer() for _ in range(20)]
            for peer in peers:
                peer.shake_hands()
            threads = [threading.Thread(target=peer.send_until_closed, args=(ENDLESS["empty"],)) for peer in peers]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        self.wait_for('evenkeel_connections_refused_total{reason="unfinished_message"}', len(peers))
        self.assert_flat(peak, UNFINISHED_MAX)
        self.assert_honest_agents_go_on()

    def test_subscriptions_whose_frames_never_end(self):
        with Peak(self.pid) as peak:
            for data in ENDLESS.values():
                peer = self.raw_peer(self.group.publish)
                peer.shake_hands("SUB")
                self.attack(peer, data)
        self.assert_flat(peak, UNFINISHED_MAX)
        self.assert_honest_agents_go_on()

    def test_many_connections_that_say_nothing_and_some_that_are_no_zmtp(self):
        with contextlib.ExitStack() as stack, Peak(self.pid) as peak:
            for number in range(300):
                host, port = self.group.bind.removeprefix("tcp://").split(":")
                silent = stack.enter_context(socket.create_connection((host, int(port))))
                if number % 2:
                    silent.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 10)
            self.wait_for('evenkeel_connections_total{event="closed_without_message"}', 300)
        self.assert_flat(peak, 32 * MEGABYTE)
        self.assert_honest_agents_go_on()

    def test_a_metrics_port_under_a_flood(self):
        host, port = self.group.http.split(":")
        with contextlib.ExitStack() as stack, Peak(self.pid) as peak:
            for _ in range(200):
                slow = stack.enter_context(socket.create_connection((host, int(port))))
                with contextlib.suppress(OSError):
                    slow.sendall(b"GET /metrics HTTP/1.1\r\nX: ")
            self.group.wait_until("an answer", lambda: self.group.get("/healthz")[0] == 200)
        huge = socket.create_connection((host, int(port)))
        stack.enter_context(huge)
        with contextlib.suppress(OSError):
            huge.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * MEGABYTE)
        huge.close()
        self.wait_for('evenkeel_http_requests_total{result="malformed"}', 1)
        self.wait_for("evenkeel_http_connections_refused_total", 1)
        self.assert_flat(peak, 16 * MEGABYTE)
        self.assert_honest_agents_go_on()

    def test_requests_on_the_control_socket_that_are_none(self):
        control = self.unconnected()
        control.setsockopt(zmq.RCVTIMEO, 1000 * DEADLINE_S)
        control.connect(f"ipc://{self.group.folder}/state/control.sock")
        for request in (b"", b"[" * 1000, b'{"command": "reboot"}', b'{"command": 5}', b"{" + b" " * MEGABYTE, b"\xff\xfe"):
            control.send(request)
            answer = control.recv()
            self.assertIn(b'"ok":false', answer)
        self.wait_for('evenkeel_control_requests_total{command="malformed",result="refused"}', 6)
        self.assert_honest_agents_go_on()


class LiarTest(HostileTest):
    """An agent that speaks the protocol well and tells what cannot be."""

    EXPERTS = int(numpy.load(TRACE)["ids"].max()) + 1
    LOSSES = ("calls_refused", "paths_dropped", "path_batches_lost", "recordings_refused", "messages_dropped", "broadcast_gaps",
              "sends_dropped")
    LAYERS = list(range(numpy.load(TRACE)["ids"].shape[1]))

    def setUp(self):
        super().setUp()
        self.pid = self.start(agents=3)
        for rank in (0, 1):
            self.group.agent(rank, world=3)
        self.wait_for_agents()
        self.liar = self.dealer()
        self.liar.setsockopt(zmq.RCVTIMEO, 1000 * DEADLINE_S)
        self.sequence = 0

    def model_hash(self):
        value = 0xCBF29CE484222325
        for number in (len(self.LAYERS), *self.LAYERS, self.EXPERTS):
            for byte in struct.pack("<Q", number):
                value = (value ^ byte) * 0x100000001B3 % (1 << 64)
        return value

    def message(self, kind, **fields):
        self.sequence += 1
        body = msgpack.packb({"type": kind, "version": 1, "incarnation": 1, **fields})
        return [b"ep@liar@default", struct.pack(">Q", self.sequence), body]

    def say(self, kind, **fields):
        self.liar.send_multipart(self.message(kind, **fields))

    def hello(self):
        return {"model_hash": self.model_hash(), "rank": 2, "world": 3, "layer_ids": self.LAYERS, "experts": self.EXPERTS,
                "term": 0, "epoch": None}

    def answer(self, *kinds):
        """The next message of one of these kinds."""
        while True:
            message = msgpack.unpackb(self.liar.recv_multipart()[2])
            if message["type"] in kinds:
                return message

    def report(self, number, count, **fields):
        tokens = fields.pop("tokens", count * self.EXPERTS)
        counts = [[count] * self.EXPERTS for _ in self.LAYERS]
        self.say("report", **{
            "last": 0, "losses": dict.fromkeys(self.LOSSES, 0), "sequence": number, "epoch": 0, "window": 0, "steps": number * 100_000,
            "stages": [{"stage": "mixed", "tokens": tokens, "counts": counts}], **fields})
        # A window's decision is told by one more acknowledgement of an earlier report.
        while (answer := self.answer("report_ack", "refusal")).get("sequence", number) != number:
            pass
        return answer

    def test_counts_that_shrink_or_are_beyond_physics(self):
        self.say("hello", **self.hello())
        self.answer("snapshot")
        self.assertEqual(self.report(1, 1000)["type"], "report_ack")
        tokens = self.group.tokens()
        shrunk = self.report(2, 900)
        self.assertEqual((shrunk["type"], shrunk["reason"]), ("refusal", "shrinking_counts"))
        self.assertEqual(self.report(3, 1 << 40)["type"], "refusal")
        self.assertLess(self.group.tokens(), tokens + 10_000_000)
        self.assertGreater(self.group.metrics()['evenkeel_reports_total{result="implausible"}'], 0)
        agents = self.group.command("status")["models"][0]["agents"]
        self.assertEqual({agent["worker"]: agent["is_trusted"] for agent in agents},
                         {"liar": False, "worker-0": True, "worker-1": True})
        self.assert_reports_go_on()

    def test_counts_that_no_token_can_choose_and_tokens_of_no_step(self):
        self.say("hello", **self.hello())
        self.answer("snapshot")
        self.assertEqual(self.report(1, 1000)["type"], "report_ack")
        # Of 64 experts, each 1,016 times more by 1,000 tokens more is 65 choices a token; 1,000 times more is 64.
        tokens = 1000 * self.EXPERTS
        beyond = [self.report(2, 1000 + 1016, tokens=tokens + 1000), self.report(3, 1 << 16, steps=100_000)]
        self.assertEqual([(answer["type"], answer.get("reason")) for answer in beyond], [("refusal", "implausible_counts")] * 2)
        self.assertEqual(self.report(4, 1000 + 1000, tokens=tokens + 1000)["type"], "report_ack")
        self.assertEqual(self.group.metrics()['evenkeel_reports_total{result="implausible"}'], 2)
        self.assert_reports_go_on()

    def test_bombs_in_msgpack(self):
        def payload(**fields):
            return msgpack.packb({"type": "hello", "version": 1, **fields})

        bombs = [
            b"\x91" * MEGABYTE,
            b"\x81\xa4type" * 100_000,
            b"\xdd\xff\xff\xff\xff",
            b"\xdf\xff\xff\xff\xff",
            b"\xc6\xff\xff\xff\xff",
            b"\x82\xa4type\xa6report\xa6counts\xdd\x7f\xff\xff\xff" + b"\xdd\x7f\xff\xff\xff" * 10_000,
            payload(layer_ids=list(range(300_000)), experts=1 << 40),
            payload(detail="x" * MEGABYTE),
        ]
        # Of a stranger so many bytes are not even taken.
        self.say("hello", **self.hello())
        self.answer("snapshot")
        with Peak(self.pid) as peak:
            # One after the other: more than two of the largest that wait for a busy service cost the liar its connection.
            for dropped, bomb in enumerate(bombs * 5, 1):
                self.liar.send_multipart([b"ep@liar@default", bytes(8), bomb])
                self.wait_for('evenkeel_messages_dropped_total{reason="malformed"}', dropped)
        self.assert_flat(peak, 64 * MEGABYTE)
        self.assert_reports_go_on()

    def test_an_agent_whose_messages_never_end(self):
        with Peak(self.pid) as peak:
            for number, data in enumerate(ENDLESS.values()):
                peer = self.raw_peer()
                peer.shake_hands()
                peer.send(self.message("hello", **self.hello()))
                joined = 'evenkeel_hellos_total{result="accepted"}'
                self.wait_for(joined, 3 + number)
                self.attack(peer, data)
        self.wait_for('evenkeel_connections_refused_total{reason="unfinished_message"}', len(ENDLESS))
        self.assert_flat(peak, UNFINISHED_MAX)
        self.assert_reports_go_on()


class OperatorsSideTest(HostileTest):
    def test_requests_over_tcp_whose_frames_never_end(self):
        control = free_endpoint()
        pid = self.start(control=control)
        for rank in (0, 1):
            self.group.agent(rank)
        self.wait_for_agents()
        with Peak(pid) as peak:
            for data in ENDLESS.values():
                peer = self.raw_peer(control)
                peer.shake_hands()
                self.attack(peer, data)
        self.wait_for('evenkeel_connections_refused_total{reason="unfinished_message"}', len(ENDLESS))
        self.assert_flat(peak, UNFINISHED_MAX)
        status = self.group.evenkeel("status", "--endpoint", control, "--json")
        self.assertEqual(status.returncode, 0, status.stderr)
        self.assert_honest_agents_go_on()


class CurveTest(HostileTest):
    def setUp(self):
        super().setUp()
        for name in ("rebalancer", "worker-0", "worker-1"):
            self.group.keygen(name)
        keys = self.group.folder / "keys"
        (keys / "rebalancer.pub").rename(self.group.folder / "server.pub")
        self.server_key = (self.group.folder / "server.pub").read_text().split()[0].encode()
        self.keys = keys
        self.pid = self.start(curve_secret=keys / "rebalancer.secret", authorized_keys=keys)
        for rank in (0, 1):
            self.group.agent(rank, curve_secret=keys / f"worker-{rank}.secret", server_key=self.group.folder / "server.pub")
        self.wait_for_agents()

    def curve_dealer(self, public, secret):
        dealer = self.unconnected()
        dealer.curve_serverkey, dealer.curve_publickey, dealer.curve_secretkey = self.server_key, public, secret
        dealer.connect(self.group.bind)
        return dealer

    def test_unknown_keys_are_refused_and_counted(self):
        with Peak(self.pid) as peak:
            dealers = [self.curve_dealer(*zmq.curve_keypair()) for _ in range(20)]
            for dealer in dealers:
                dealer.send_multipart([b"ep@worker-0@default", bytes(8), b"\x80"])
            self.wait_for('evenkeel_connections_refused_total{reason="key"}', 20)
        self.assertGreaterEqual(self.group.metrics()['evenkeel_authorisations_total{result="refused"}'], 20)
        self.assertEqual(self.group.metrics()['evenkeel_messages_dropped_total{reason="malformed"}'], 0)
        self.assert_flat(peak, 16 * MEGABYTE)
        self.assert_honest_agents_go_on()

    def test_clients_without_keys_are_refused_and_counted(self):
        dealers = [self.dealer() for _ in range(10)]
        for dealer in dealers:
            dealer.send_multipart([b"ep@worker-0@default", bytes(8), b"\x80"])
        peer = self.raw_peer()
        with self.assertRaises(OSError):
            peer.shake_hands()
            peer.socket.sendall(bytes([0, 1, 0]))
            peer.read(1)
        # Whoever sees first that the mechanisms differ ends it.
        refused = 'evenkeel_connections_refused_total{reason="%s"}'
        self.group.wait_until("ten refused", lambda: sum(self.group.metrics()[refused % why] for why in ("protocol", "handshake")) >= 10)
        self.assertEqual(self.group.metrics()['evenkeel_connections_total{event="ready"}'], 2)
        self.assertEqual(self.group.metrics()['evenkeel_messages_dropped_total{reason="malformed"}'], 0)
        self.assert_honest_agents_go_on()

    def test_a_known_key_under_anothers_routing_id_speaks_only_for_itself(self):
        public = (self.keys / "worker-1.pub").read_text().split()[0].encode()
        secret = (self.keys / "worker-1.secret").read_text().strip().encode()
        liar = self.curve_dealer(public, secret)
        hello = {"type": "hello", "version": 1}
        liar.send_multipart([b"ep@worker-0@default", bytes(8), msgpack.packb(hello)])
        self.wait_for('evenkeel_messages_dropped_total{reason="malformed"}', 1)
        body = {"type": "refusal", "version": 1, "term": 1, "epoch": 0, "reason": "conflict", "about": "prepare",
                "about_epoch": None, "detail": ""}
        liar.send_multipart([b"ep@worker-0@default", bytes(8), msgpack.packb(body)])
        self.wait_for('evenkeel_messages_dropped_total{reason="unauthorised"}', 1)
        self.wait_for('evenkeel_connections_refused_total{reason="unauthorised"}', 1)
        self.assert_honest_agents_go_on()

    def test_a_two_gigabyte_frame_before_the_handshake(self):
        with Peak(self.pid) as peak:
            peer = self.raw_peer()
            peer.socket.sendall(bytes([LONG]) + struct.pack(">Q", 2 << 30))
            closed, sent = peer.send_until_closed(bytes(MEGABYTE))
            self.assertTrue(closed, f"took {sent} bytes")
        self.assert_flat(peak, 16 * MEGABYTE)
        self.assert_honest_agents_go_on()


if __name__ == "__main__":
    unittest.main()
