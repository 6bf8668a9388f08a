"""A program that is no part of the mesh and has python3-grpcio alone: takes its identity from the SPIFFE Workload API, and uses it.

  workload.py svid SOCKET FOLDER       writes svid.pem, key.pem, bundle.pem
  workload.py echo SOCKET ADDRESS ID   calls meltemi.echo.v1.Echo over mTLS; the server must be ID
"""
import base64
import os
import sys

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
    {"svid": write, "echo": echo}[sys.argv[1]](*sys.argv[2:])
