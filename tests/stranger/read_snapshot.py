#!/usr/bin/env python3
"""Prints one file of a snapshot: read_snapshot.py REPOSITORY PASSWORD SNAPSHOT PATH

A reader of dssvault's format in another language, on packages from PyPI. It follows docs/format.md section by
section; whoever wrote it knew the program too, so it proves the document consistent rather than a stranger. Section
names in quotes are those of the document. SNAPSHOT is an id or the beginning of one. Everything is verified on the
way; what does not fit ends the program.
"""

import hashlib
import hmac
import io
import os
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

KINDS = {"config": 1, "keys": 2, "packs": 3, "index": 4, "snapshots": 5, "sessions": 6, "journal": 7}
BLOCK_MAX = 9 << 20
BODY_MAX = {"index": 256 << 20, "snapshots": 64 << 20}


def must(condition, what):
    if not condition:
        sys.exit(f"damaged: {what}")


def u(width, number):
    return number.to_bytes(width, "big")


def number(data):
    return int.from_bytes(data, "big")


def H(data):
    return blake3(data).digest()


def D(context, data, length=32):
    return blake3(data, derive_key_context="dssvault v1 " + context).digest(length=length)


def cbor(data):
    """Exactly one item."""
    stream = io.BytesIO(data)
    item = cbor2.CBORDecoder(stream).decode()
    must(stream.tell() == len(data), "bytes behind a CBOR item")
    return item


class Bytes:
    """A cursor over a fixed layout."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        must(count <= len(self.data) - self.at, "bytes end too early")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, width):
        return number(self.take(width))


def inflate(codec, data, length):
    must(codec in (0, 1), "unknown codec")
    if codec == 1:
        data = zstandard.ZstdDecompressor().decompress(data, max_output_size=length)
    must(len(data) == length, "a length")
    return data


def verify(key, kind, repository, epoch, name, before, signature):
    """ "Signatures" """
    name = b"" if kind in ("packs", "index") else name.encode()
    message = b"dssvault v1 signature" + bytes([KINDS[kind]]) + repository + u(4, epoch)
    Ed25519PublicKey.from_public_bytes(key).verify(signature, message + u(2, len(name)) + name + H(before))


def unseal(key, domain, counter, h, sealed):
    """ "Sealing" """
    tail = domain + u(8, counter)
    return AESGCM(key).decrypt(tail, sealed, h + tail)


class XWing:
    """draft-connolly-cfrg-xwing-kem-10, from its seed."""

    def __init__(self, seed):
        expanded = hashlib.shake_256(seed).digest(96)
        pk_m, self.sk_m = ML_KEM_768.key_derive(expanded[:64])
        self.sk_x = X25519PrivateKey.from_private_bytes(expanded[64:])
        self.pk_x = self.sk_x.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.public = pk_m + self.pk_x

    def decapsulate(self, ct):
        ss_m = ML_KEM_768.decaps(self.sk_m, ct[:1088])
        ss_x = self.sk_x.exchange(X25519PublicKey.from_public_bytes(ct[1088:]))
        return hashlib.sha3_256(ss_m + ss_x + ct[1088:] + self.pk_x + b"\\.//^\\").digest()


def hpke_export(shared, psk, psk_id, info, context):
    """RFC 9180: key schedule of mode_psk (section 5.1), export (section 5.3)."""
    suite = b"HPKE" + u(2, 0x647A) + u(2, 1) + u(2, 0xFFFF)

    def extract(salt, label, ikm):
        return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + ikm, "sha256")

    def expand(prk, label, info):
        return hmac.digest(prk, u(2, 32) + b"HPKE-v1" + suite + label + info + b"\x01", "sha256")

    hashes = extract(b"", b"psk_id_hash", psk_id) + extract(b"", b"info_hash", info)
    exporter = expand(extract(shared, b"secret", psk), b"exp", b"\x01" + hashes)
    return expand(exporter, b"sec", context)


class Repository:
    def __init__(self, folder, password):
        self.folder = pathlib.Path(folder)
        names = sorted(path.name for path in (self.folder / "config").iterdir())
        self.config = self.plain("config", names[-1], None)
        self.id, self.owner = self.config[0], self.config[4]
        must(self.config.get(2, 0) == 0 and self.config[5] == 0x647A, "features this reader does not know")
        self.secrets = self.unlock(password)
        must(
            Ed25519PrivateKey.from_private_bytes(self.secrets[4])
            .public_key()
            .public_bytes(Encoding.Raw, PublicFormat.Raw)
            == self.owner,
            "the slot's owner",
        )
        self.xwing = XWing(self.secrets[3])
        must(self.xwing.public == self.config[6], "the slot's sealing seed")
        self.sessions, self.packs, self.places = {}, {}, {}

    def stored(self, kind, name):
        """The bytes before the checksum, or all of them where the name is the hash: "Objects"."""
        fan = name[:2] if kind in ("packs", "index") else ""
        data = (self.folder / kind / fan / name).read_bytes()
        if kind in ("packs", "index"):
            must(H(data).hex() == name, f"{kind}/{name}: hash")
        else:
            must(H(data[:-32]) == data[-32:], f"{kind}/{name}: checksum")
            data = data[:-32]
        must(data[:10] == b"DSSVAULT" + bytes([KINDS[kind], 1]), f"{kind}/{name}: kind or version")
        return data

    def plain(self, kind, name, owner):
        """ "Plain objects". Only the configuration names its own owner."""
        data = self.stored(kind, name)
        frame = Bytes(data)
        frame.take(10)
        repository, epoch = frame.take(16), frame.number(4)
        body = frame.take(frame.number(4))
        before, signature = data[: frame.at], frame.take(64)
        must(frame.at == len(data), f"{kind}/{name}: length")
        item = cbor(body)
        owner = owner or item[4]
        verify(owner, kind, repository, epoch, name, before, signature)
        must(repository == (item[0] if kind == "config" else self.id), f"{kind}/{name}: repository")
        return item

    def unlock(self, password):
        """ "Key slots" """
        for path in sorted((self.folder / "keys").iterdir()):
            encoded, commitment, sealed = self.plain("keys", path.name, self.owner)
            public = cbor(encoded)
            must(public[0].hex() == path.name, "a slot's name")
            if public[2][0] != 0:
                continue
            costs = public[2][1][0]
            must(8192 <= costs[0] <= 4 << 20 and 1 <= costs[1] <= 100 and 1 <= costs[2] <= 64, "a slot's costs")
            key = hash_secret_raw(password, public[3], costs[1], costs[0], costs[2], 32, Type.ID)
            root = D("key slot", key + self.id + public[0])
            if hmac.compare_digest(D("key commitment", root + public[3] + b"\x02"), commitment):
                key = D("object key", root + public[3] + b"\x02")
                return cbor(unseal(key, b"slot", 0, H(self.id + encoded), sealed))
        sys.exit("wrong password")

    def open(self, kind, name):
        """Header, signature and key of a sealed object: "Header", "Keys". Gives all bytes, header length, key, h."""
        data = self.stored(kind, name)
        head = Bytes(data)
        head.take(10)
        recipe, epoch, features = head.number(2), head.number(4), head.number(8)
        repository, writer, session, recipient = (head.take(16) for _ in range(4))
        salt, commitment = head.take(32), head.take(32)
        lengths = head.number(4), head.number(4)
        must(lengths[1] <= 1 << 20, "plain section")
        encapsulation, _ = head.take(lengths[0]), head.take(lengths[1])
        must(features == 0 and repository == self.id, f"{kind}/{name}: features or repository")
        must(writer == H(self.owner)[:16], f"{kind}/{name}: unknown writer")
        verify(self.owner, kind, repository, epoch, name, data[:-64], data[-64:])
        _, write_key, index_key = next(keys for keys in self.secrets[5] if keys[0] == epoch)
        if kind == "index":
            must(recipe == 0 and recipient == bytes(16) and not encapsulation, f"{kind}/{name}: recipe")
            root = index_key
        else:
            must(recipe == 0x647A and len(encapsulation) == 1120, f"{kind}/{name}: recipe")
            must(recipient == H(self.config[6])[:16], f"{kind}/{name}: recipient")
            bound = repository + u(4, epoch)
            wanted = (encapsulation, bound, session, writer)
            if wanted not in self.sessions:
                info = b"dssvault v1 session" + bound + session + writer
                shared, psk_id = self.xwing.decapsulate(encapsulation), b"dssvault v1 epoch" + bound
                exported = hpke_export(shared, write_key, psk_id, info, b"dssvault v1 session secret")
                self.sessions[wanted] = exported
            root = self.sessions[wanted]
        made = root + salt + bytes([KINDS[kind]])
        must(hmac.compare_digest(D("key commitment", made), commitment), f"{kind}/{name}: key commitment")
        return data, head.at, D("object key", made), H(data[: head.at])

    def body(self, kind, name):
        """ "Sealed objects" """
        data, begin, key, h = self.open(kind, name)
        payload = Bytes(unseal(key, b"load", 0, h, data[begin:-64]))
        codec, length = payload.number(1), payload.number(4)
        must(length <= BODY_MAX[kind], "a body's length")
        return inflate(codec, payload.take(payload.number(4)), length)

    def load_index(self):
        """ "Index": every chunk's places. Doomed packs do not occur in the journal of this reader's repositories."""
        for path in sorted((self.folder / "index").glob("*/*")):
            body = Bytes(self.body("index", path.name))
            replaced = body.number(4)
            must(replaced <= 1 << 20, "replaced segments")
            body.take(32 * replaced)
            for _ in range(body.number(4)):
                pack, stored_bytes = body.take(32).hex(), body.number(8)
                blocks, domain = table(body.take(body.number(4)))
                must(not blocks or blocks[-1][0] + blocks[-1][1] <= stored_bytes, "blocks beyond their pack")
                for slot, block in enumerate(blocks):
                    for chunk, offset, length in block[4]:
                        self.places.setdefault(chunk, []).append((pack, slot, offset, length))
            must(body.at == len(body.data), "bytes behind a segment")

    def pack(self, name):
        """ "Packs": opened by its own trailer, without the index."""
        if name not in self.packs:
            data, begin, key, h = self.open("packs", name)
            trailer = Bytes(unseal(key, b"tral", 0, h, data[-92:-64]))
            offset, length = trailer.number(8), trailer.number(4)
            must(begin <= offset and offset + length <= len(data) - 92, "a trailer")
            blocks, domain = table(unseal(key, b"tabl", 0, h, data[offset : offset + length]), begin)
            must((blocks[-1][0] + blocks[-1][1] if blocks else begin) == offset, "a table's offset")
            self.packs[name] = data, key, h, blocks, self.id_key(domain), {}
        return self.packs[name]

    def id_key(self, domain):
        """ "Ids and domains" """
        content, owner, node = domain
        root = self.secrets[0] if owner == 0 else D("id root of one node", self.secrets[1] + node)
        return D("chunk ids of trees" if content == 1 else "chunk ids of data", root)

    def chunk(self, wanted):
        must(self.places.get(wanted), f"chunk {wanted.hex()} is missing")
        name, slot, offset, length = self.places[wanted][0]
        data, key, h, blocks, id_key, opened = self.pack(name)
        if slot not in opened:
            begin, stored, raw, codec, _ = blocks[slot]
            opened[slot] = inflate(codec, unseal(key, b"blok", slot, h, data[begin : begin + stored]), raw)
        plain = opened[slot][offset : offset + length]
        must(blake3(plain, key=id_key).digest() == wanted, f"chunk {wanted.hex()} has other content")
        return plain

    def entries(self, tree):
        """ "Trees" """
        variant, (items,) = cbor(self.chunk(tree))
        if variant == 0:
            return items
        must(variant == 1, "a node")
        return [entry for _, child in items for entry in self.entries(child)]

    def content(self, entry):
        content = entry.get(11)
        if content is None:
            return b""
        ids = split(content[0])
        for _ in range(content.get(1, 0)):
            ids = [chunk for listed in ids for chunk in split(self.chunk(listed))]
        data = b"".join(self.chunk(chunk) for chunk in ids)
        if 4 in content:
            must(len(ids) == 1 and 1 not in content and 2 not in content, "a fragment")
            data = data[content[4] : content[4] + entry[6]]
        if 2 not in content:
            must(len(data) == entry[6], "a file's length")
            return data
        out = bytearray(entry[6])
        for offset, length in content[2]:
            out[offset : offset + length], data = data[:length], data[length:]
        must(not data and len(out) == entry[6], "a file's extents")
        return bytes(out)


def split(ids):
    must(ids and len(ids) % 32 == 0, "a list of ids")
    return [ids[at : at + 32] for at in range(0, len(ids), 32)]


def table(data, header=None):
    """Blocks as (offset, stored, plaintext bytes, codec, [(id, offset, length)]), and the id domain."""
    table = Bytes(data)
    domain = table.number(1), table.number(1), table.take(16)
    at = table.number(4)
    must(domain[0] <= 1 and domain[1] <= 1 and header in (None, at), "a table's front")
    count = table.number(4)
    must(count <= 1 << 20, "a table's blocks")
    blocks = []
    for _ in range(count):
        stored, raw, codec, bases = table.number(4), table.number(4), table.number(1), table.number(1)
        must(raw <= BLOCK_MAX and stored <= BLOCK_MAX and bases == 0, "a block's sizes")
        chunks, offset = [], 0
        for _ in range(table.number(4)):
            chunk, length = table.take(32), table.number(4)
            chunks.append((chunk, offset, length))
            offset += length
        must(chunks and offset == raw, "a block's chunks")
        blocks.append((at, stored, raw, codec, chunks))
        at += stored
    must(table.at == len(data), "bytes behind a table")
    return blocks, domain


def main(folder, password, snapshot, path):
    repository = Repository(folder, os.fsencode(password))
    found = [p.name for p in (repository.folder / "snapshots").iterdir() if p.name.startswith(snapshot)]
    must(len(found) == 1, f"snapshot {snapshot} is not one of those here")
    variant, fields = cbor(repository.body("snapshots", found[0]))
    must(variant == 0, "the session was aborted: there is no such snapshot")
    repository.load_index()
    tree, entry = fields[0][7], None
    for name in os.fsencode(path).strip(b"/").split(b"/"):
        must(tree, f"{path}: not a directory")
        entry = next((entry for entry in repository.entries(tree) if entry[0] == name), None)
        must(entry, f"{path}: not in this snapshot")
        tree = entry.get(12)
    must(entry[1] == 0, f"{path}: not a file")
    sys.stdout.buffer.write(repository.content(entry))


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
