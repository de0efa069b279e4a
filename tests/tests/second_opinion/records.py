"""Second opinion on signed records: reads and verifies each kind with python-cwt, after docs/records.md alone.

Argument: a folder with root.cose, next.cose, release.cwt, line.cwt, device.cwt, list.cwt, next.request, next.succession,
chain, head.json, entry.json (the last one under the head), seal.cwt, transcript.jsonl, release.suit. Prints one JSON object with what it read.
"""

import base64
import hashlib
import json
import pathlib
import sys

import cbor2
import cwt

ED25519, TYP, KID, KCWT = -19, 16, 4, 13
folder = pathlib.Path(sys.argv[1])


def file(name):
    return (folder / name).read_bytes()


def kid(key):
    """First 8 bytes of the thumbprint (RFC 9679): the key's members in their order, which is the file."""
    return hashlib.sha256(cbor2.dumps(key, canonical=True)).digest()[:8]


def verifier(key):
    return cwt.COSEKey.new({**key, 2: kid(key), 3: ED25519})


def sign1(content):
    """The bytes below the tag 61 of a CWT (RFC 8392 section 6): COSE_Sign1 with its tag."""
    head = b"\xd8\x3d"
    assert content.startswith(head), content[:4].hex()
    return content[len(head) :]


cose = cwt.COSE.new()


def verified(content, key, typ, is_nested=False):
    """The claims of a record whose signature holds; each bit that is changed, and every other key, is refused."""
    protected, unprotected, payload = cose.decode_with_headers(sign1(content), verifier(key))
    assert protected == {1: ED25519, KID: kid(key), TYP: f"anchorage-{typ}+cwt"}, protected
    assert unprotected == {}, unprotected
    for position in range(len(content) - 64, len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 1
        refused(bytes(damaged), key)
    # The last byte of the payload stands before the signature and its head.
    damaged = bytearray(content)
    damaged[-67] ^= 1
    refused(bytes(damaged), key)
    refused(content, STRANGER)
    if is_nested:
        return payload
    assert cbor2.dumps(cbor2.loads(payload), canonical=True) == payload, "not deterministic"
    return cbor2.loads(payload)


def refused(content, key):
    try:
        cose.decode_with_headers(sign1(content), verifier(key))
    except (cwt.VerifyError, cwt.DecodeError, ValueError):
        return
    sys.exit(f"python-cwt takes what it should not: {content.hex()}")


def key_file(name):
    return cbor2.loads(file(name))


root, successor, STRANGER = key_file("root.cose"), key_file("next.cose"), key_file("stranger.cose")
told = {}


def credential(name, key):
    claims = verified(file(name), key, "credential")
    certified = claims[8][1]
    told[name] = {"sub": claims[2], "role": claims[-70001], "kid": kid(certified).hex()}
    return claims, certified


release_claims, release = credential("release.cwt", root)
told["release.cwt"]["ceiling"] = release_claims[-70007]
_, line = credential("line.cwt", root)
device, _ = credential("device.cwt", line)
told["device.cwt"] |= {"issuing_key": device[-70013].hex(), "serials": device[-70002][3]}

claims = verified(file("list.cwt"), root, "revocation")
told["list.cwt"] = {"sequence": claims[-70003], "revoked": [[role, generation, [id.hex() for id in ids]] for role, generation, ids in claims[-70004]]}


def succession(content, grantor):
    inner = verified(content, grantor, "succession-grant", is_nested=True)
    claims = verified(inner, successor, "succession")
    assert claims[8][1] == successor, "the request is signed by the key that it names"
    return {"name": claims[1], "number": [claims[-70011], claims[-70010]], "rights": claims[-70012], "domain": claims[-70009].hex()}


verified(file("next.request"), successor, "succession")
told["next.succession"] = succession(file("next.succession"), root)
items = [cbor2.dumps(item, canonical=True) for item in cbor2.loads(file("chain"))]
assert file("chain")[1:] == b"".join(items), "an array of records, each with its tags"
told["chain"] = [succession(items[0], root), verified(items[1], successor, "revocation")[-70003]]

head = verified(base64.b64decode(json.loads(file("head.json"))["head"]), root, "ledger")
assert head[-70016][1] == hashlib.sha256(file("entry.json")).digest(), "the head covers the entry"
told["head.json"] = {"entries": head[-70016][0]}

seal = verified(file("seal.cwt"), root, "transcript")
lines = file("transcript.jsonl").split(b"\n")[:-1]
assert seal[-70017] == [len(lines), hashlib.sha256(lines[-1]).digest()], "the seal covers the transcript"
for before, line_after in zip(lines, lines[1:]):
    assert json.loads(line_after)["previous"] == hashlib.sha256(before).hexdigest()
told["seal.cwt"] = {"lines": len(lines)}

# The manifest: detached payload, credential in the unprotected header (RFC 9528, kcwt).
envelope = cbor2.loads(file("release.suit"))
assert envelope.tag == 107
digest, block = cbor2.loads(envelope.value[2])
protected, unprotected, _ = cose.decode_with_headers(block, verifier(release), detached_payload=digest)
assert protected == {1: ED25519, KID: kid(release)}, protected
assert cbor2.dumps(unprotected[KCWT], canonical=True) == file("release.cwt"), "the credential is embedded as it is"
manifest = cbor2.dumps(envelope.value[3], canonical=True)
assert cbor2.loads(digest) == [-16, hashlib.sha256(manifest).digest()], "the digest of the manifest with its head"
try:
    cose.decode_with_headers(block, verifier(release), detached_payload=digest[:-1] + b"\0")
    sys.exit("python-cwt takes another digest")
except cwt.VerifyError:
    pass
told["release.suit"] = {"sequence": cbor2.loads(envelope.value[3])[2]}
print(json.dumps(told))
