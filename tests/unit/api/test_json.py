"""What a hostile body may be: a 4xx, nothing of it at a provider, and the connection lives."""

import asyncio
import json
import random

import pytest

from tests.support.http import CHAT
from tests.support.replay import completion, full_response, until
from tests.support.serving import Serving

MESSAGES = '"messages":[{"role":"user","content":"x"}]'


def with_model(more: str) -> bytes:
    return f'{{"model":"auto",{MESSAGES},{more}}}'.encode()


def nested(depth: int, opener: str = "[", closer: str = "]") -> str:
    return opener * depth + closer * depth


DEEP_OBJECT = '{"a":' * 200 + "1" + "}" * 200
BAD: dict[str, bytes] = {
    "nothing": b"",
    "space": b" \n",
    "null": b"null",
    "a list": b"[]",
    "a text": b'"x"',
    "a number": b"1",
    "an open object": b'{"model":"auto"',
    "something behind it": with_model('"x":1') + b"x",
    "another object behind it": with_model('"x":1') + b"{}",
    "NUL behind it": with_model('"x":1') + b"\x00",
    "a byte order mark": b"\xef\xbb\xbf" + with_model('"x":1'),
    "UTF-16": with_model('"x":1').decode().encode("utf-16"),
    "UTF-32": with_model('"x":1').decode().encode("utf-32"),
    "no UTF-8": with_model('"x":"?"').replace(b"?", b"\xff"),
    "an overlong slash": with_model('"x":"?"').replace(b"?", b"\xc0\xaf"),
    "a surrogate in UTF-8": with_model('"x":"?"').replace(b"?", b"\xed\xa0\x80"),
    "beyond Unicode": with_model('"x":"?"').replace(b"?", b"\xf5\x80\x80\x80"),
    "half a character": with_model('"x":"?"').replace(b"?", b"\xe2\x82"),
    "no UTF-8 in a name": with_model('"?":1').replace(b"?", b"\xff"),
    "half a surrogate": with_model('"x":"\\ud800"'),
    "surrogates the wrong way round": with_model('"x":"\\udc00\\ud800"'),
    "half a surrogate in a message": b'{"model":"auto","messages":[{"role":"user","content":"\\ud83d"}]}',
    "NUL in a text": with_model('"x":"\x00"'),
    "a line end in a text": with_model('"x":"\n"'),
    "an unknown escape": with_model('"x":"\\x41"'),
    "a short escape": with_model('"x":"\\u12"'),
    "NaN": with_model('"x":NaN'),
    "Infinity": with_model('"x":[Infinity]'),
    "-Infinity": with_model('"x":-Infinity'),
    "1e999": with_model('"top_p":1e999'),
    "-1e999": with_model('"x":-1e999'),
    "1e999 for the temperature": with_model('"temperature":1e999'),
    "6000 digits": with_model(f'"seed":{"9" * 6000}'),
    "6000 digits of a fraction": with_model(f'"seed":0.{"9" * 6000}'),
    "6000 digits for a limit": with_model(f'"max_tokens":{"9" * 6000}'),
    "a zero in front": with_model('"x":01'),
    "a point without digits": with_model('"x":1.'),
    "a plus": with_model('"x":+1'),
    "hex": with_model('"x":0x10'),
    "True": with_model('"x":True'),
    "single quotes": with_model("\"x\":'a'"),
    "a comment": with_model('"x":1/**/'),
    "a comma too many": with_model('"x":[1,]'),
    "a name without quotes": with_model("x:1"),
    "vertical tab for space": with_model('"x":\x0b1'),
    "the model twice": with_model('"model":"m-a"'),
    "the model twice, once escaped": with_model('"mod\\u0065l":"m-a"'),
    "the messages twice": with_model(MESSAGES),
    "stream twice": with_model('"stream":false,"stream":true'),
    "an unknown name twice": with_model('"x":1,"y":2,"x":1'),
    "the wish for usage twice": with_model(
        '"stream":true,"stream_options":{"include_usage":true,"include_usage":false}'
    ),
    "lists 129 deep": with_model(f'"x":{nested(128)}'),
    "lists 100000 deep": with_model(f'"x":{nested(100_000)}'),
    "lists without end": with_model('"x":')[:-1] + b"[" * 100_000,
    "objects 200 deep": with_model(f'"metadata":{DEEP_OBJECT}'),
    "objects 100000 deep": with_model('"x":' + '{"a":' * 100_000 + "1" + "}" * 100_000),
    "a tool 200 deep": with_model(f'"tools":[{{"type":"function"}},{DEEP_OBJECT}]'),
    "a message 200 deep": f'{{"model":"auto","messages":[{{"role":"user","x":{DEEP_OBJECT}}}]}}'.encode(),
    "a part 200 deep": f'{{"model":"auto","messages":[{{"role":"user","content":[{{"type":"x","y":{DEEP_OBJECT}}}]}}]}}'.encode(),
    "a long talk that is deep in the end": json.dumps(
        {"model": "auto", "messages": [{"role": "user", "content": '{"[\\" ' * 50}] * 300 + [{"role": "x"}]}
    )
    .replace('{"role": "x"}', f'{{"role":"x","y":{DEEP_OBJECT}}}')
    .encode(),
    "stream as a text": with_model('"stream":"true"'),
    "stream as a number": with_model('"stream":1'),
    "n as a fraction": with_model('"n":1.0'),
    "n as a truth": with_model('"n":true'),
    "n without a value": with_model('"n":0'),
    "a negative limit": with_model('"max_tokens":-1'),
    "tools as an object": with_model('"tools":{}'),
    "options as a list": with_model('"stream_options":[]'),
    "messages as an object": b'{"model":"auto","messages":{}}',
    "messages of texts": b'{"model":"auto","messages":["x"]}',
    "a role as a number": b'{"model":"auto","messages":[{"role":1}]}',
    "content as an object": b'{"model":"auto","messages":[{"role":"user","content":{}}]}',
    "content of texts": b'{"model":"auto","messages":[{"role":"user","content":["x"]}]}',
    "a model as a list": b'{"model":["auto"],"messages":[{"role":"user"}]}',
    "a model of nothing": b'{"model":"","messages":[{"role":"user"}]}',
    "half a surrogate as a model": b'{"model":"\\ud800","messages":[{"role":"user"}]}',
    "a model without end": b'{"model":"%b","messages":[{"role":"user"}]}' % (b"a" * 100_000),
    "a million names and a last one twice": b"{%b}" % b",".join(b'"%d":1' % (n % 999_999) for n in range(1_000_000)),
}


@pytest.mark.parametrize("body", BAD.values(), ids=BAD)
async def test_a_hostile_body_is_refused_at_once_and_alone(
    serving: Serving, caplog: pytest.LogCaptureFixture, body: bytes
) -> None:
    async with serving.connect() as client:
        began = asyncio.get_running_loop().time()
        client.request("POST", CHAT, body)
        answer = await client.read_answer()
        assert asyncio.get_running_loop().time() - began < 2.0
        assert answer.status in (400, 404)
        assert answer.error()["code"] in (
            "invalid_json", "invalid_type", "invalid_value", "missing_required_parameter", "model_not_found",
        )  # fmt: skip
        assert answer.header("connection") is None
        client.request("GET", "/health")
        assert (await client.read_answer()).status == 200
    assert serving.line.transport.calls == []
    assert caplog.records == []
    await until(lambda: not serving.line.services.running)


TAKEN: dict[str, bytes] = {
    "large numbers within": with_model(f'"x":[{"9" * 6000},1e999,-0.0,1.50]'),
    "a number as large as a double": with_model('"x":1.7976931348623157e308'),
    "an integer beyond 64 bits": with_model('"seed":123456789012345678901234567890'),
    "a pair of surrogates": with_model('"x":"\\ud83d\\ude00"'),
    "NUL as an escape": with_model('"x":"\\u0000"'),
    "names twice further in": with_model('"metadata":{"a":1,"a":2}'),
    "names that differ in case": with_model('"Model":"x","MODEL":"y"'),
    "lists 128 deep": with_model(f'"x":{nested(127)}'),
    "brackets in texts": with_model(f'"x":"{"[{" * 1000}"'),
    "a long talk about brackets": json.dumps(
        {"model": "auto", "messages": [{"role": "user", "content": '[[{"\\" ' * 100}] * 300}
    ).encode(),
    "many tools": with_model(f'"tools":[{",".join([nested(100)] * 50)}]'),
    "spaces": b' \r\n\t{ "model" :\t"auto" , "messages" : [ {"role":"user"} ] } \n',
    "nine hundred names": b'{"model":"auto","messages":[{"role":"user"}],%b}'
    % b",".join(b'"%d":1' % n for n in range(900)),
}


@pytest.mark.parametrize("body", TAKEN.values(), ids=TAKEN)
async def test_what_is_taken_is_heard_as_it_was_said(serving: Serving, body: bytes) -> None:
    serving.line.play(a=full_response(completion()))
    async with serving.connect() as client:
        client.request("POST", CHAT, body.replace(b'"auto"', b'"m-a"'))
        assert (await client.read_answer()).status == 200
    assert serving.line.transport.calls[0].body == body.replace(b'"auto"', b'"m-a"')


async def test_any_change_of_a_body_is_answered_or_refused(serving: Serving, caplog: pytest.LogCaptureFixture) -> None:
    chance = random.Random(3)
    serving.line.play(a=full_response(completion()))
    good = with_model('"tools":[{"x":[1.5e3,true]}],"stream":false,"stop":["\\u00e9\\n"],"n":1')
    async with serving.connect() as client:
        for _ in range(300):
            body = bytearray(good)
            for _ in range(chance.randint(1, 4)):
                at = chance.randrange(len(body))
                body[at : at + chance.choice([0, 1, 1, 5])] = chance.choice(
                    [b"", b'"', b"\\", b"{", b"]", b"\xff", b"0"]
                )
            client.request("POST", CHAT, bytes(body))
            assert (await client.read_answer()).status in (200, 400, 404)
    assert caplog.records == []
