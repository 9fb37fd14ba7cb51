"""A network that loses, repeats and reorders: stands between agents and a rebalancer, on both sockets.

Each agent keeps a connection of its own to the rebalancer. Of every message, in either direction, 20 % are dropped, 20 %
sent twice and 20 % held back behind later ones, by a seeded generator.
"""

import contextlib
import random
import threading
import time

import zmq

FAULT_SHARE = 0.2
HELD_BACK_S = 0.03
QUEUE_MESSAGES = 16


class FaultProxy(threading.Thread):
    """Runs from start() to stop(). `counts` tells how many messages met each fate."""

    def __init__(self, front, back, front_publish=None, back_publish=None, seed=1):
        super().__init__(daemon=True)
        self.counts = dict.fromkeys(("passed", "dropped", "repeated", "held"), 0)
        self.random = random.Random(seed)
        self.context = zmq.Context()
        self.back = back
        self.router = self.socket(zmq.ROUTER)
        self.router.bind(front)
        self.dealers = {}
        self.subscriber = self.publisher = None
        if front_publish:
            self.subscriber, self.publisher = self.socket(zmq.SUB), self.socket(zmq.PUB)
            self.subscriber.subscribe(b"")
            self.subscriber.connect(back_publish)
            self.publisher.bind(front_publish)
        self.held = []
        self.is_over = threading.Event()

    def socket(self, kind):
        socket = self.context.socket(kind)
        socket.linger = 0
        socket.sndhwm = socket.rcvhwm = QUEUE_MESSAGES
        return socket

    def stop(self):
        self.is_over.set()
        self.join()
        self.context.destroy()

    def run(self):
        poller = zmq.Poller()
        for socket in filter(None, (self.router, self.subscriber)):
            poller.register(socket, zmq.POLLIN)
        while not self.is_over.is_set():
            for socket, _ in poller.poll(5):
                parts = socket.recv_multipart()
                if socket is self.router:
                    if parts[0] not in self.dealers:
                        dealer = self.socket(zmq.DEALER)
                        dealer.connect(self.back)
                        poller.register(dealer, zmq.POLLIN)
                        self.dealers[parts[0]] = dealer
                    self.pass_on(self.dealers[parts[0]], parts[1:])
                elif socket is self.subscriber:
                    self.pass_on(self.publisher, parts)
                else:
                    agent = next(agent for agent, dealer in self.dealers.items() if dealer is socket)
                    self.pass_on(self.router, [agent, *parts])
            due = [entry for entry in self.held if entry[0] <= time.monotonic()]
            self.held = [entry for entry in self.held if entry not in due]
            for _, socket, parts in due:
                self.send(socket, parts)

    def pass_on(self, socket, parts):
        fate = self.random.random()
        if fate < FAULT_SHARE:
            self.counts["dropped"] += 1
        elif fate < 2 * FAULT_SHARE:
            self.counts["repeated"] += 1
            self.send(socket, parts)
            self.send(socket, parts)
        elif fate < 3 * FAULT_SHARE:
            self.counts["held"] += 1
            self.held.append((time.monotonic() + HELD_BACK_S * self.random.random(), socket, parts))
        else:
            self.counts["passed"] += 1
            self.send(socket, parts)

    @staticmethod
    def send(socket, parts):
        # A full queue is one more way to lose a message.
        with contextlib.suppress(zmq.Again):
            socket.send_multipart(parts, zmq.DONTWAIT)
