"""Calls the echo service through a proxy with Debian's grpcio: unary, a stream each way, both at once, a status, a deadline. Prints what it saw as JSON."""
import json
import sys

import grpc

channel = grpc.insecure_channel(sys.argv[1], options=[("grpc.default_authority", "echo")])
seen = {}

unary = channel.unary_unary("/echo.Echo/Unary")
answer, call = unary.with_call(b"you", metadata=(("x-asked", "a"),), timeout=10)
seen["unary"] = [answer.decode(), dict(call.trailing_metadata()).get("x-trailer")]

for name, request, timeout in (("status", b"fail", 10), ("deadline", b"slow", 0.3)):
    try:
        unary(request, timeout=timeout)
        seen[name] = "OK"
    except grpc.RpcError as error:
        seen[name] = [error.code().name, error.details() if name == "status" else ""]

seen["serverStream"] = [len(part) for part in channel.unary_stream("/echo.Echo/ServerStream")(b"x", timeout=10)]
seen["clientStream"] = channel.stream_unary("/echo.Echo/ClientStream")(iter([b"x" * 10000] * 100), timeout=10).decode()
seen["bidi"] = [part.decode() for part in channel.stream_stream("/echo.Echo/Bidi")(iter([b"a", b"b", b"c"]), timeout=10)]
print(json.dumps(seen))
