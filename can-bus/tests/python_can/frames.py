"""Hears one frame of each kind and says what it heard, then sends one of each kind. Arguments: group, port."""

import sys

import can

group, port = sys.argv[1], int(sys.argv[2])
with can.Bus(interface="udp_multicast", channel=group, port=port, hop_limit=0, fd=True) as bus:
    print("ready", flush=True)
    for _ in range(5):
        message = bus.recv(timeout=20)
        if message is None:
            sys.exit("heard nothing for 20 seconds")
        kind = "remote" if message.is_remote_frame else "brs" if message.bitrate_switch else "fd" if message.is_fd else "data"
        print(f"{message.arbitration_id:X} {message.is_extended_id} {kind} {message.dlc} {bytes(message.data).hex()}", flush=True)
    for message in (
        can.Message(arbitration_id=0x7E8, is_extended_id=False, data=[2, 0x7E, 0]),
        can.Message(arbitration_id=0x18DAF110, is_extended_id=True, data=range(8)),
        can.Message(arbitration_id=0x123, is_extended_id=True, is_remote_frame=True, dlc=4),
        can.Message(arbitration_id=0x123, is_extended_id=False, is_fd=True, data=range(12)),
        can.Message(arbitration_id=0x124, is_extended_id=False, is_fd=True, bitrate_switch=True, data=range(64)),
    ):
        bus.send(message)
