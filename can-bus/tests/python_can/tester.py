"""A tester made of python-can, can-isotp and udsoncan downloads an object. Arguments: group, port, classic or fd."""

import sys

import can
import isotp
import udsoncan
from udsoncan.client import Client
from udsoncan.connections import PythonIsoTpConnection

group, port, fd = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "fd"
config = dict(udsoncan.configs.default_client_config)
config["request_timeout"] = 20
# P2 stays what the device declares, although this client counts the time a request takes to leave as part of it.
config["data_identifiers"] = {0xF18C: udsoncan.AsciiCodec(3), 0xF186: ">B", 0xF195: udsoncan.AsciiCodec(3)}
parameters = {"stmin": 0, "blocksize": 8, "tx_padding": 0xCC, "max_frame_size": 70000}
if fd:
    parameters |= {"can_fd": True, "bitrate_switch": True, "tx_data_length": 64}

with can.Bus(interface="udp_multicast", channel=group, port=port, hop_limit=0, fd=True) as bus:
    address = isotp.Address(isotp.AddressingMode.NormalFixed_29bits, target_address=0x10, source_address=0xF1)
    stack = isotp.NotifierBasedCanStack(bus=bus, notifier=can.Notifier(bus, []), address=address, params=parameters)
    with Client(PythonIsoTpConnection(stack), config=config) as client:
        print("ready", flush=True)
        print("serial", client.read_data_by_identifier(0xF18C).service_data.values[0xF18C], flush=True)
        client.change_session(2)
        print("session", client.read_data_by_identifier(0xF186).service_data.values[0xF186][0], flush=True)
        try:
            client.read_data_by_identifier([0xF186, 0xF195])
        except udsoncan.NegativeResponseException as refusal:
            print("unknown", f"{refusal.response.code:02X}", flush=True)
        data = bytes(at % 251 for at in range(8000))
        location = udsoncan.MemoryLocation(address=0x10000000, memorysize=len(data), address_format=32, memorysize_format=32)
        block = client.request_download(location).service_data.max_length - 2
        for index, start in enumerate(range(0, len(data), block)):
            client.transfer_data((index + 1) % 256, data[start : start + block])
        client.request_transfer_exit()
        try:
            client.request_transfer_exit()
        except udsoncan.NegativeResponseException as refusal:
            print("refused", f"{refusal.response.code:02X}", flush=True)
        print("done", block, flush=True)
