"""Updates a device with stock udsoncan over can-isotp and python-can. Prints the seconds of the image and of all.

Arguments: group, port, classic or fd, file of the envelope, file of the image, longest block of a request."""

import sys
import time

import can
import isotp
import udsoncan
from udsoncan.client import Client
from udsoncan.connections import PythonIsoTpConnection

group, port, fd = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "fd"
envelope, image = (open(name, "rb").read() for name in sys.argv[4:6])


class Bytes(udsoncan.DidCodec):
    def __init__(self, length):
        self.length = length

    def decode(self, payload):
        return payload

    def __len__(self):
        return self.length


config = dict(udsoncan.configs.default_client_config)
config["request_timeout"] = 20
config["data_identifiers"] = {0xFD00: Bytes(112)}
parameters = {"stmin": 0, "blocksize": 0, "tx_padding": 0xCC, "max_frame_size": 70000}
if fd:
    parameters |= {"can_fd": True, "bitrate_switch": True, "tx_data_length": 64}


def send(client, address, data):
    location = udsoncan.MemoryLocation(address=address, memorysize=len(data), address_format=32, memorysize_format=32)
    block = client.request_download(location).service_data.max_length - 2
    for index, start in enumerate(range(0, len(data), block)):
        client.transfer_data((index + 1) % 256, data[start : start + block])
    client.request_transfer_exit()


with can.Bus(interface="udp_multicast", channel=group, port=port, hop_limit=0, fd=True) as bus:
    address = isotp.Address(isotp.AddressingMode.NormalFixed_29bits, target_address=0x10, source_address=0xF1)
    stack = isotp.NotifierBasedCanStack(bus=bus, notifier=can.Notifier(bus, []), address=address, params=parameters)
    with Client(PythonIsoTpConnection(stack), config=config) as client:
        state = lambda: client.read_data_by_identifier(0xFD00).service_data.values[0xFD00]
        began = time.monotonic()
        client.change_session(2)
        send(client, 0x00000000, envelope)
        image_began = time.monotonic()
        send(client, 0x10000000, image)
        image_ended = time.monotonic()
        client.ecu_reset(1)
        # mode: application, image: confirmed
        while True:
            try:
                if state()[1:3] == bytes([2, 1]):
                    break
            except udsoncan.exceptions.TimeoutException:
                pass
        print(image_ended - image_began, time.monotonic() - began, flush=True)
