#!/usr/bin/env python3
"""A TLS proxy for a plain server on loopback.

    tls.py CERTIFICATE KEY PORT

Prints the port that it listens on, and forwards connections to PORT.
"""
import asyncio
import ssl
import sys

CERTIFICATE, KEY, PORT = sys.argv[1:]


async def copy(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except (ConnectionError, ssl.SSLError):
        pass
    finally:
        writer.close()


async def connected(reader, writer):
    back_reader, back_writer = await asyncio.open_connection("127.0.0.1", int(PORT))
    await asyncio.gather(copy(reader, back_writer), copy(back_reader, writer))


async def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, KEY)
    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
