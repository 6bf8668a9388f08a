"""A program that is no part of the mesh and has python3-grpcio alone: takes its identity from the SPIFFE Workload API, and uses it.

  workload.py svid SOCKET FOLDER       writes svid.pem, key.pem, bundle.pem
  workload.py jwt SOCKET AUDIENCE       gets a JWT-SVID, verifies it with openssl and the JWT bundles, prints id, audience, trust domains that have keys, and the token
  workload.py echo SOCKET ADDRESS ID   calls meltemi.echo.v1.Echo over mTLS; the server must be ID
"""
import base64
import json
import os
import subprocess
import sys
import tempfile

import grpc


def fields(data):
    """The length-delimited fields of a protobuf message."""
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        assert tag & 7 == 2, "only length-delimited fields are expected"
        size, at = varint(data, at)
        yield tag >> 3, data[at:at + size]
        at += size


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def certificates(der):
    """DER certificates behind each other, each as PEM."""
    while der:
        size = 4 + int.from_bytes(der[2:4], "big")
        assert der[0] == 0x30 and der[1] == 0x82, "a DER SEQUENCE of two length bytes is expected"
        yield pem("CERTIFICATE", der[:size])
        der = der[size:]


def pem(label, der):
    return "-----BEGIN %s-----\n%s-----END %s-----\n" % (label, base64.encodebytes(der).decode(), label)


def svid(socket):
    with grpc.insecure_channel("unix:" + socket) as channel:
        fetch = channel.unary_stream("/SpiffeWorkloadAPI/FetchX509SVID", request_serializer=bytes, response_deserializer=bytes)
        response = next(iter(fetch(b"", metadata=(("workload.spiffe.io", "true"),), timeout=20)))
    first = dict(fields(next(value for number, value in fields(response) if number == 1)))
    return {"id": first[1].decode(), "svid": "".join(certificates(first[2])), "key": pem("PRIVATE KEY", first[3]), "bundle": "".join(certificates(first[4]))}


def section(text):
    """What stands behind one part of a token."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def integer(raw):
    """An unsigned number as a DER INTEGER."""
    raw = raw.lstrip(b"\0") or b"\0"
    raw = b"\0" + raw if raw[0] & 0x80 else raw
    return b"\x02" + bytes([len(raw)]) + raw


def verify(token, keys):
    """ES256 by Debian's openssl, which knows nothing of tokens."""
    head, claims, signature = token.split(".")
    header = json.loads(section(head))
    assert header["alg"] == "ES256", header
    key = next(key for key in keys if key["kid"] == header["kid"])
    point = b"\x04" + section(key["x"]) + section(key["y"])
    raw = section(signature)
    der = integer(raw[:32]) + integer(raw[32:])
    with tempfile.TemporaryDirectory() as folder:
        files = {"key.pem": pem("PUBLIC KEY", bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200") + point).encode(), "sig": b"\x30" + bytes([len(der)]) + der, "data": (head + "." + claims).encode()}
        for name, data in files.items():
            with open(os.path.join(folder, name), "wb") as file:
                file.write(data)
        subprocess.run(["openssl", "dgst", "-sha256", "-verify", "key.pem", "-signature", "sig", "data"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return json.loads(section(claims))


def jwt(socket, audience):
    header = (("workload.spiffe.io", "true"),)
    with grpc.insecure_channel("unix:" + socket) as channel:
        fetch = channel.unary_unary("/SpiffeWorkloadAPI/FetchJWTSVID", request_serializer=bytes, response_deserializer=bytes)
        token = dict(fields(dict(fields(fetch(b"\x0a" + bytes([len(audience)]) + audience.encode(), metadata=header, timeout=20)))[1]))[2].decode()
        follow = channel.unary_stream("/SpiffeWorkloadAPI/FetchJWTBundles", request_serializer=bytes, response_deserializer=bytes)
        bundles = {entry[1].decode(): json.loads(entry[2])["keys"] for entry in (dict(fields(value)) for _, value in fields(next(iter(follow(b"", metadata=header, timeout=20)))))}
    own = "spiffe://" + json.loads(section(token.split(".")[1]))["sub"].split("/")[2]
    claims = verify(token, bundles[own])
    assert claims["exp"] > claims["iat"], claims
    print(claims["sub"], ",".join(claims["aud"]), ",".join(sorted(bundles)), token)


def echo(socket, address, server):
    own = svid(socket)
    credentials = grpc.ssl_channel_credentials(own["bundle"].encode(), own["key"].encode(), own["svid"].encode())
    # A SPIFFE certificate has no host name: its URI is the name that is asked for. The brackets keep gRPC from looking for a port in it.
    options = (("grpc.ssl_target_name_override", "[" + server + "]"), ("grpc.default_authority", "echo"))
    with grpc.secure_channel(address, credentials, options) as channel:
        call = channel.unary_unary("/meltemi.echo.v1.Echo/Echo", request_serializer=bytes, response_deserializer=bytes)
        answer = call(b"\x0a\x05hello", timeout=20)
    print(own["id"], dict(fields(answer))[1].decode())


def write(socket, folder):
    for name, text in svid(socket).items():
        with open(os.open(os.path.join(folder, name + ".pem"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)


if __name__ == "__main__":
    {"svid": write, "jwt": jwt, "echo": echo}[sys.argv[1]](*sys.argv[2:])
