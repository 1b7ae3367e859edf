#!/usr/bin/env python3
"""Checks the good vectors of this folder without dssvault.

It was written beside the crate, with its code at hand: it shows that other implementations of every primitive come to
the same bytes, not that the document suffices. tests/stranger/read_snapshot.py is for that. tests/stranger/run runs
both; tests/stranger/requirements.txt names what is needed from PyPI.
"""

import hashlib
import hmac
import json
import pathlib
import sys

import cbor2
import zstandard
from argon2.low_level import Type, hash_secret_raw
from blake3 import blake3
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from kyber_py.ml_kem import ML_KEM_768
from mnemonic import Mnemonic

FOLDER = pathlib.Path(__file__).parent
KINDS = {"config": 1, "keys": 2, "packs": 3, "index": 4, "snapshots": 5, "sessions": 6, "journal": 7}
CONTEXTS = {
    "object_key": "dssvault v1 object key",
    "commitment": "dssvault v1 key commitment",
    "data_ids": "dssvault v1 chunk ids of data",
    "tree_ids": "dssvault v1 chunk ids of trees",
    "node_ids": "dssvault v1 id root of one node",
    "gear": "dssvault v1 gear table",
    "slot": "dssvault v1 key slot",
}
RAW = (Encoding.Raw, PublicFormat.Raw)


def vector(name):
    return json.loads((FOLDER / name).read_text())


def u(width, number):
    return number.to_bytes(width, "big")


def derive(purpose, root, *parts):
    return blake3(root + b"".join(parts), derive_key_context=CONTEXTS[purpose]).digest()


class XWing:
    """draft-connolly-cfrg-xwing-kem-10"""

    LABEL = b"\\.//^\\"

    def __init__(self, seed):
        expanded = hashlib.shake_256(seed).digest(96)
        self.pk_m, self.sk_m = ML_KEM_768.key_derive(expanded[:64])
        self.sk_x = X25519PrivateKey.from_private_bytes(expanded[64:])
        self.pk_x = self.sk_x.public_key().public_bytes(*RAW)

    def public_key(self):
        return self.pk_m + self.pk_x

    def decapsulate(self, ciphertext):
        ct_m, ct_x = ciphertext[:1088], ciphertext[1088:]
        ss_m = ML_KEM_768.decaps(self.sk_m, ct_m)
        ss_x = self.sk_x.exchange(X25519PublicKey.from_public_bytes(ct_x))
        return hashlib.sha3_256(ss_m + ss_x + ct_x + self.pk_x + self.LABEL).digest()


SUITE = b"HPKE" + u(2, 0x647A) + u(2, 0x0001) + u(2, 0xFFFF)


def labeled_extract(salt, label, ikm):
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + SUITE + label + ikm, "sha256")


def labeled_expand(prk, label, info, length):
    labeled = u(2, length) + b"HPKE-v1" + SUITE + label + info
    block, out = b"", b""
    for counter in range(1, 2 + length // 32):
        block = hmac.digest(prk, block + labeled + bytes([counter]), "sha256")
        out += block
    return out[:length]


def hpke_export(shared, info, psk, psk_id, exporter_context):
    """RFC 9180 section 5.1, mode_psk, and section 5.3."""
    psk_id_hash = labeled_extract(b"", b"psk_id_hash", psk_id)
    info_hash = labeled_extract(b"", b"info_hash", info)
    secret = labeled_extract(shared, b"secret", psk)
    exporter = labeled_expand(secret, b"exp", b"\x01" + psk_id_hash + info_hash, 32)
    return labeled_expand(exporter, b"sec", exporter_context, 32)


def signed(name, repository, epoch, owner, before, signature):
    kind, text = name.split("/")
    text = "" if kind in ("packs", "index") else text
    message = b"dssvault v1 signature" + bytes([KINDS[kind]]) + repository + u(4, epoch)
    message += u(2, len(text)) + text.encode() + blake3(before).digest()
    Ed25519PublicKey.from_public_bytes(owner).verify(signature, message)


def aead(key, domain, slot, bound_to, sealed):
    tail = domain + u(8, slot)
    return AESGCM(key).decrypt(tail, sealed, bound_to + tail)


def plain_body(v, owner):
    stored = bytes.fromhex(v["stored"])
    assert blake3(stored[:-32]).digest() == stored[-32:], "checksum"
    kind = v["name"].split("/")[0]
    assert stored[:10] == b"DSSVAULT" + bytes([KINDS[kind], 1])
    repository, epoch = stored[10:26], int.from_bytes(stored[26:30], "big")
    length = int.from_bytes(stored[30:34], "big")
    body = stored[34 : 34 + length]
    assert 34 + length + 64 + 32 == len(stored)
    signed(v["name"], repository, epoch, owner, stored[: 34 + length], stored[34 + length : -32])
    return repository, body


def open_slot(v, owner, material_of):
    repository, body = plain_body(v, owner)
    encoded, commitment, wrapped = cbor2.loads(body)
    info = cbor2.loads(encoded)
    root = derive("slot", material_of(info), repository, info[0])
    assert derive("commitment", root, info[3], bytes([2])) == commitment, "slot commitment"
    key = derive("object_key", root, info[3], bytes([2]))
    return aead(key, b"slot", 0, blake3(repository + encoded).digest(), wrapped)


def password_material(password):
    def material(info):
        method, (costs,) = info[2]
        assert method == 0
        return hash_secret_raw(password.encode(), info[3], costs[1], costs[0], costs[2], 32, Type.ID)

    return material


def recovery_material(words):
    entropy = bytes(Mnemonic("english").to_entropy(words))
    return lambda info: entropy


def open_sealed(v, secrets, owner):
    stored = bytes.fromhex(v["stored"])
    kind, text = v["name"].split("/")
    if kind in ("packs", "index"):
        assert blake3(stored).hexdigest() == text
    else:
        assert blake3(stored[:-32]).digest() == stored[-32:]
        stored = stored[:-32]
    assert stored[:10] == b"DSSVAULT" + bytes([KINDS[kind], 1])
    recipe = int.from_bytes(stored[10:12], "big")
    epoch = int.from_bytes(stored[12:16], "big")
    repository, writer, session, recipient = (stored[at : at + 16] for at in range(24, 88, 16))
    salt, commitment = stored[88:120], stored[120:152]
    encapsulated = int.from_bytes(stored[152:156], "big")
    plain = int.from_bytes(stored[156:160], "big")
    header = stored[: 160 + encapsulated + plain]
    encapsulation = header[160 : 160 + encapsulated]
    assert writer == blake3(owner).digest()[:16]
    signed(v["name"], repository, epoch, owner, stored[:-64], stored[-64:])
    _, write_key, index_key = next(keys for keys in secrets[5] if keys[0] == epoch)
    if recipe == 0:
        root = index_key
    else:
        key = XWing(secrets[3])
        assert recipient == blake3(key.public_key()).digest()[:16]
        info = b"dssvault v1 session" + repository + u(4, epoch) + session + writer
        psk_id = b"dssvault v1 epoch" + repository + u(4, epoch)
        shared = key.decapsulate(encapsulation)
        root = hpke_export(shared, info, write_key, psk_id, b"dssvault v1 session secret")
    assert derive("commitment", root, salt, bytes([KINDS[kind]])) == commitment, "commitment"
    key = derive("object_key", root, salt, bytes([KINDS[kind]]))
    payload = aead(key, b"load", 0, blake3(header).digest(), stored[len(header) : -64])
    codec, length, content = payload[0], int.from_bytes(payload[1:5], "big"), int.from_bytes(payload[5:9], "big")
    content = payload[9 : 9 + content]
    body = content if codec == 0 else zstandard.ZstdDecompressor().decompress(content, max_output_size=length)
    assert len(body) == length
    return body


def main():
    for number in (1, 2):
        v = vector(f"xwing_draft_{number}.json")
        key = XWing(bytes.fromhex(v["seed"]))
        assert key.public_key().hex() == v["public_key"]
        assert key.decapsulate(bytes.fromhex(v["encapsulation"])).hex() == v["shared_secret"]
    for purpose in CONTEXTS:
        v = vector(f"derive_{purpose}.json")
        assert derive(purpose, bytes.fromhex(v["root"]), bytes.fromhex(v["parts"])).hex() == v["derived"]

    v = vector("config.json")
    config = cbor2.loads(bytes.fromhex(v["body"]))
    owner = config[4]
    assert plain_body(v, owner)[1].hex() == v["body"]
    v = vector("journal_checkpoint.json")
    assert plain_body(v, owner)[1].hex() == v["body"]

    v = vector("slot_password.json")
    opened = open_slot(v, owner, password_material(v["password"]))
    assert opened.hex() == v["body"]
    v = vector("slot_recovery.json")
    assert open_slot(v, owner, recovery_material(v["words"])) == opened
    secrets = cbor2.loads(opened)
    assert Ed25519PrivateKey.from_private_bytes(secrets[4]).public_key().public_bytes(*RAW) == owner
    assert XWing(secrets[3]).public_key() == config[6]

    for name in ("snapshot.json", "index.json"):
        v = vector(name)
        assert open_sealed(v, secrets, owner).hex() == v["body"], name
    print("all good vectors agree")


if __name__ == "__main__":
    sys.exit(main())
