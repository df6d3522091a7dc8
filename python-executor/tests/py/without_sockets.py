"""A process that can make no socket, as a tool's: run by the tests of the network with code on standard input.

Its first argument is the descriptor of a socket to a broker: an address goes there, a connected descriptor or an
error number comes back.
"""

import ctypes
import os
import platform
import socket
import struct
import sys

from callspan import channel, network

# What a child's own filter refuses, by number: socket, connect, accept, accept4, bind, listen.
REFUSED = {"x86_64": (41, 42, 43, 288, 49, 50), "aarch64": (198, 203, 202, 242, 200, 201)}[platform.machine()]


class Broker:
    def __init__(self, descriptor):
        self.socket = socket.socket(fileno=descriptor)

    def connect(self, address):
        os.write(self.socket.fileno(), address.encode())
        data, descriptors, _, _ = socket.recv_fds(self.socket, 100, 1)
        if not descriptors:
            raise OSError(int(data), os.strerror(int(data)))
        return descriptors[0]


def refuse_sockets():
    """Install a seccomp filter in which those calls fail with EPERM."""
    load, equal, allow, refuse = 0x20, 0x15, 0x7FFF0000, 0x00050001
    code = [struct.pack("HBBI", load, 0, 0, 0)]
    code += [struct.pack("HBBI", equal, len(REFUSED) - n, 0, number) for n, number in enumerate(REFUSED)]
    code += [struct.pack("HBBI", 0x06, 0, 0, allow), struct.pack("HBBI", 0x06, 0, 0, refuse)]
    program = ctypes.create_string_buffer(b"".join(code))
    filter_ = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code), ctypes.addressof(program)))
    libc = ctypes.CDLL(None, use_errno=True)
    for call in ((38, 1, 0, 0, 0), (22, 2, ctypes.addressof(filter_), 0, 0)):
        if libc.prctl(*(ctypes.c_ulong(value) for value in call)):
            raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    broker = Broker(int(sys.argv[1]))
    refuse_sockets()
    channel.current = broker
    if sys.argv[2:]:
        network.grant_network(sys.argv[2:])
    exec(sys.stdin.read(), {"__name__": "tool"})
