"""Promise 1: Google's SDK for Python, with nothing changed but the base URL, at every provider."""

import json
import urllib.request

import pytest
from google import genai
from google.genai import errors, types

import world

ASK = "please call get_weather and get_time about the weather in Paris"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


@pytest.fixture(scope="session")
def google(gate):
    return genai.Client(api_key="unused", http_options=types.HttpOptions(base_url=gate.url))


def tools():
    names = ["get_weather", "get_time"]
    declared = [types.FunctionDeclaration(name=n, description=n, parameters_json_schema=CITY) for n in names]
    automatic = types.AutomaticFunctionCallingConfig(disable=True)
    return types.GenerateContentConfig(tools=[types.Tool(function_declarations=declared)], automatic_function_calling=automatic)


@pytest.mark.parametrize("model", world.ALL)
def test_plain(gate, google, model):
    config = types.GenerateContentConfig(system_instruction="Be brief.", temperature=0.5, max_output_tokens=100)
    answer = google.models.generate_content(model=model, contents="hello", config=config)
    assert "ello" in answer.text
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    closed = gate.closed(answer.sdk_http_response.headers["x-tollgate-call-id"])
    assert (closed["outcome"], closed["model"], closed["surface"]) == ("ok", model, "gemini")
    assert closed["usage"]["output_tokens"] == answer.usage_metadata.candidates_token_count


@pytest.mark.parametrize("model", world.ALL)
def test_stream(google, model):
    pieces = list(google.models.generate_content_stream(model=model, contents="hello"))
    assert "ello" in "".join(piece.text or "" for piece in pieces)
    assert len(pieces) > 1 and pieces[-1].usage_metadata.candidates_token_count > 0
    reasons = [c.finish_reason for p in pieces for c in p.candidates or [] if c.finish_reason]
    assert reasons == [types.FinishReason.STOP]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", world.ALL)
def test_tools(google, model, stream):
    contents = [types.Content(role="user", parts=[types.Part(text=ASK)])]
    if stream:
        pieces = list(google.models.generate_content_stream(model=model, contents=contents, config=tools()))
        parts = [part for piece in pieces for c in piece.candidates or [] for part in c.content.parts or []]
    else:
        parts = google.models.generate_content(model=model, contents=contents, config=tools()).candidates[0].content.parts
    calls = [part.function_call for part in parts if part.function_call]
    assert [(c.name, c.args) for c in calls] == [("get_weather", {"city": "Paris"}), ("get_time", {"city": "Paris"})]
    contents.append(types.Content(role="model", parts=[p for p in parts if p.function_call]))
    results = [types.FunctionResponse(id=c.id, name=c.name, response={"result": "18 at noon"}) for c in calls]
    contents.append(types.Content(role="user", parts=[types.Part(function_response=r) for r in results]))
    last = google.models.generate_content(model=model, contents=contents, config=tools())
    assert "18" in last.text


@pytest.mark.parametrize("model", world.ALL)
def test_schema(google, model):
    schema = {"type": "object", "properties": {"answer": {"type": "integer"}}, "required": ["answer"]}
    config = types.GenerateContentConfig(response_mime_type="application/json", response_json_schema=schema)
    answer = google.models.generate_content(model=model, contents="schema please", config=config)
    assert json.loads(answer.text) == {"answer": 42}


@pytest.mark.parametrize("model", world.ALL)
def test_image(google, model):
    import base64

    image = types.Part.from_bytes(data=base64.b64decode(PIXEL), mime_type="image/png")
    answer = google.models.generate_content(model=model, contents=["what is in this picture", image])
    assert "1 image" in answer.text


@pytest.mark.parametrize("model", world.ALL)
def test_errors(google, model):
    with pytest.raises(errors.ServerError) as caught:
        google.models.generate_content(model=model, contents="broken\nsimulate: 503")
    assert caught.value.code == 503 and "simulated status 503" in caught.value.message
    with pytest.raises(errors.ClientError, match="there is no model"):
        google.models.generate_content(model="nothing", contents="hello")


def test_count_tokens_and_models(google):
    assert google.models.count_tokens(model="sim", contents="hello").total_tokens > 0
    assert sorted(model.name for model in google.models.list()) == [f"models/{name}" for name in world.ALL]
    assert google.models.get(model="sim").name == "models/sim"


def test_a_stream_that_breaks_raises(google):
    with pytest.raises(errors.APIError, match="broke off"):
        list(google.models.generate_content_stream(model="sim-openai", contents="hello\nsimulate: cut"))


@pytest.mark.parametrize("model", world.ALL)
def test_without_alt_sse_a_stream_is_one_array(gate, model):
    body = json.dumps({"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}).encode()
    url = f"{gate.url}/v1beta/models/{model}:streamGenerateContent?key=unused"
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.headers["content-type"].startswith("application/json")
        pieces = json.loads(answer.read())
    texts = [p.get("text", "") for piece in pieces for c in piece.get("candidates", []) for p in c["content"].get("parts", [])]
    assert "ello" in "".join(texts) and len(pieces) > 1
