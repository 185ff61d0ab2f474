"""Promise 1: OpenAI's Responses API, by OpenAI's SDK for Python, at every provider."""

import json

import openai
import pytest

import world

ASK = "please call get_weather and get_time about the weather in Paris"
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.fixture(scope="session")
def oai(gate):
    return openai.OpenAI(base_url=f"{gate.url}/v1", api_key="unused", max_retries=0)


def tools():
    return [{"type": "function", "name": n, "description": n, "parameters": CITY, "strict": True} for n in ["get_weather", "get_time"]]


@pytest.mark.parametrize("model", world.ALL)
def test_plain(gate, oai, model):
    raw = oai.responses.with_raw_response.create(model=model, instructions="Be brief.", input="hello", store=False)
    answer = raw.parse()
    assert "ello" in answer.output_text and answer.status == "completed"
    closed = gate.closed(raw.headers["x-tollgate-call-id"])
    assert (closed["outcome"], closed["surface"]) == ("ok", "openai_responses")
    assert closed["usage"]["output_tokens"] == answer.usage.output_tokens


@pytest.mark.parametrize("model", world.ALL)
def test_stream(oai, model):
    with oai.responses.stream(model=model, input="hello") as stream:
        kinds = [event.type for event in stream]
        answer = stream.get_final_response()
    assert "ello" in answer.output_text and answer.usage.output_tokens > 0
    assert kinds[0] == "response.created" and kinds[-1] == "response.completed"
    assert "response.output_text.delta" in kinds


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", world.ALL)
def test_tools(oai, model, stream):
    asked = [{"role": "user", "content": ASK}]
    if stream:
        with oai.responses.stream(model=model, input=asked, tools=tools()) as s:
            answer = s.until_done().get_final_response()
    else:
        answer = oai.responses.create(model=model, input=asked, tools=tools())
    calls = [item for item in answer.output if item.type == "function_call"]
    assert [(c.name, json.loads(c.arguments)) for c in calls] == [("get_weather", {"city": "Paris"}), ("get_time", {"city": "Paris"})]
    asked += [{"type": "function_call", "call_id": c.call_id, "name": c.name, "arguments": c.arguments} for c in calls]
    asked += [{"type": "function_call_output", "call_id": c.call_id, "output": "18 at noon"} for c in calls]
    assert "18" in oai.responses.create(model=model, input=asked, tools=tools()).output_text


@pytest.mark.parametrize("model", world.ALL)
def test_schema(oai, model):
    schema = {"type": "object", "properties": {"answer": {"type": "integer"}}, "required": ["answer"], "additionalProperties": False}
    wanted = {"format": {"type": "json_schema", "name": "a", "schema": schema, "strict": True}}
    answer = oai.responses.create(model=model, input="schema please", text=wanted)
    assert json.loads(answer.output_text) == {"answer": 42}


@pytest.mark.parametrize("model", world.ALL)
def test_image(oai, model):
    parts = [
        {"type": "input_text", "text": "what is in this picture"},
        {"type": "input_image", "detail": "auto", "image_url": f"data:image/png;base64,{PIXEL}"},
    ]
    answer = oai.responses.create(model=model, input=[{"role": "user", "content": parts}])
    assert "1 image" in answer.output_text


@pytest.mark.parametrize("model", world.ALL)
def test_errors(oai, model):
    with pytest.raises(openai.InternalServerError) as caught:
        oai.responses.create(model=model, input="broken\nsimulate: 503")
    assert caught.value.status_code == 503 and "simulated status 503" in caught.value.message


def test_state_is_kept_by_nobody_else(oai):
    with pytest.raises(openai.BadRequestError, match="previous_response_id"):
        oai.responses.create(model="anthropic", input="hello", previous_response_id="resp_1")


def test_a_stream_that_breaks_raises(oai):
    with pytest.raises(openai.APIError, match="broke off"), oai.responses.stream(model="sim-openai", input="hello\nsimulate: cut") as stream:
        stream.until_done()
