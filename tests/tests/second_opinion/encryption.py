"""Second opinion on what is encrypted for devices, and on MACs: python-cwt, after docs/records.md alone.

Argument: a folder with master.key, partner.pem (P-256), image.bin, and for each algorithm ALG.suit and ALG.enc; personal/SERIAL.suit for
each device. Prints one JSON object with who read what.
"""

import hashlib
import json
import pathlib
import sys

import cbor2
import cwt
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

LINE, SERIALS, UPDATE, AUTHENTICATION = "line 1", ("A-1", "A-2"), 1, 3
A128KW, HMAC_256, ECDH_ES_A128KW, ENCRYPTION_INFO = -3, 5, -29, 19
# Of the key that wraps (COSE_KDF_Context): A128KW, two parties without a word, 128 bits, the headers of the recipient.
CONTEXT = [A128KW, [None] * 3, [None] * 3, [128, cbor2.dumps({1: ECDH_ES_A128KW}), b"SUIT Payload Encryption"]]
folder = pathlib.Path(sys.argv[1])
cose = cwt.COSE.new()


def file(name):
    return (folder / name).read_bytes()


master, image = bytes.fromhex(file("master.key").decode()), file("image.bin")


def device_key(serial, purpose, alg, length):
    info = cbor2.dumps(["anchorage-device-key", LINE, serial, purpose, 0], canonical=True)
    key = HKDF(hashes.SHA256(), length, None, info).derive(master)
    return cwt.COSEKey.from_symmetric_key(key, alg=alg, kid=hashlib.sha256(info).digest()[:8])


def envelope(name):
    content = cbor2.loads(file(name))
    assert content.tag == 107
    return content.value


def encryption_infos(node):
    """Every parameter 19 of a manifest, whose sequences are byte strings in byte strings."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == ENCRYPTION_INFO:
                yield value
            yield from encryption_infos(value)
    elif isinstance(node, list):
        for value in node:
            yield from encryption_infos(value)
    elif isinstance(node, bytes):
        try:
            inner = cbor2.loads(node)
        except (cbor2.CBORDecodeError, ValueError):
            return
        if isinstance(inner, (dict, list)):
            yield from encryption_infos(inner)


def opened(info, ciphertext, key):
    return cose.decode(info, key, context=CONTEXT, detached_payload=ciphertext, enable_non_aead=True)


def refused(act, *arguments):
    try:
        act(*arguments)
    except (cwt.VerifyError, cwt.DecodeError, ValueError):
        return
    sys.exit(f"python-cwt takes what it should not: {act.__name__} {arguments}")


told = {}
for algorithm in ("a128gcm", "a128ctr"):
    sequences = cbor2.loads(envelope(f"{algorithm}.suit")[3])
    (info,) = encryption_infos(sequences)
    ciphertext = file(f"{algorithm}.enc")
    partner = cbor2.loads(info).value[3][-1][1][4]
    keys = {serial: device_key(serial, UPDATE, "A128KW", 16) for serial in SERIALS}
    keys["partner"] = cwt.COSEKey.from_pem(file("partner.pem"), alg="ECDH-ES+A128KW", kid=partner)
    told[algorithm] = [name for name, key in keys.items() if opened(info, ciphertext, key) == image]
    refused(opened, info, ciphertext, device_key("A-3", UPDATE, "A128KW", 16))
    stolen = cwt.COSEKey.from_symmetric_key(bytes(16), alg="A128KW", kid=keys["A-1"].kid)
    refused(opened, info, ciphertext, stolen)
    for place in (0, len(ciphertext) // 2, len(ciphertext) - 1):
        damaged = bytearray(ciphertext)
        damaged[place] ^= 1
        if algorithm == "a128gcm":
            refused(opened, info, bytes(damaged), keys["A-1"])
        else:
            assert opened(info, bytes(damaged), keys["A-1"]) != image


def authentic(block, digest, key):
    return cose.decode_with_headers(block, key, detached_payload=digest)


told["mac0"] = []
for serial in SERIALS:
    members = envelope(f"personal/{serial}.suit")
    digest, block = cbor2.loads(members[2])
    manifest = cbor2.dumps(members[3], canonical=True)
    assert cbor2.loads(digest) == [-16, hashlib.sha256(manifest).digest()], "the digest of the manifest with its head"
    key = device_key(serial, AUTHENTICATION, "HS256", 32)
    protected, unprotected, _ = authentic(block, digest, key)
    assert (protected, unprotected) == ({1: HMAC_256, 4: key.kid}, {}), (protected, unprotected)
    refused(authentic, block, digest[:-1] + bytes([digest[-1] ^ 1]), key)
    for place in range(len(block) - 32, len(block)):
        damaged = bytearray(block)
        damaged[place] ^= 1
        refused(authentic, bytes(damaged), digest, key)
    (other,) = (name for name in SERIALS if name != serial)
    refused(authentic, block, digest, device_key(other, AUTHENTICATION, "HS256", 32))
    told["mac0"].append(serial)
print(json.dumps(told))
