"""Requests and answers in the shapes that clients and servers send, as their documentation shows them."""

import itertools

_TOOL = {
    "type": "function",
    "function": {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True},
}
_CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1.0}'}}
_USER = {"role": "user", "content": "Say “hi”, 你好 \U0001f600 \u2028."}
_PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}}

_TURNS = (
    [_USER],
    [{"role": "system", "content": "Be brief."}, _USER],
    [{"role": "developer", "content": [{"type": "text", "text": "Be brief."}]}, _USER],
    [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, _PICTURE]}],
    [
        _USER,
        {"role": "assistant", "content": None, "tool_calls": [_CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "5"},
    ],
    [
        _USER,
        {"role": "assistant", "content": "Yes?", "reasoning_content": "hm"},
        {"role": "user", "content": ""},
    ],
)
_FIELDS = (
    {},
    {"temperature": 0.70, "top_p": 1.0, "n": 2, "seed": 7},
    {"tools": [_TOOL], "tool_choice": "auto", "parallel_tool_calls": False},
    {"response_format": {"type": "json_object"}, "max_completion_tokens": 64},
    {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "x", "schema": {"type": "object"}, "strict": True},
        }
    },
    {"logprobs": True, "top_logprobs": 3, "stop": ["\n", "END"], "logit_bias": {"50256": -100}},
    {
        "top_k": 40,
        "min_p": 0.05,
        "repetition_penalty": 1.1,
        "chat_template_kwargs": {"enable_thinking": False},
    },
    {
        "reasoning_effort": "medium",
        "service_tier": "auto",
        "metadata": {"k": "v"},
        "store": False,
        "user": "u",
    },
    {"a_field_of_next_year": {"deep": [1, 2.50, 1e2, None, True]}},
)
_USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 3,
    "total_tokens": 12,
    "prompt_tokens_details": {"cached_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0},
}
_MESSAGES = (
    ({"role": "assistant", "content": "hi", "refusal": None}, "stop"),
    ({"role": "assistant", "content": None, "tool_calls": [_CALL]}, "tool_calls"),
    ({"role": "assistant", "content": None, "refusal": "I cannot."}, "stop"),
    ({"role": "assistant", "content": "你", "reasoning": "hm", "reasoning_content": "hm"}, "length"),
)


def _reply(message, finish):
    head = {
        "id": "x-1",
        "created": 1700000000,
        "model": "upstream-model",
        "system_fingerprint": "fp",
        "extra": {"k": [1.0]},
    }
    logs = {
        "content": [{"token": "h", "logprob": -0.10, "bytes": [104], "top_logprobs": []}],
        "refusal": None,
    }
    choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": logs, "stop_reason": None}
    whole = {**head, "object": "chat.completion", "choices": [choice], "usage": _USAGE}
    chunk = {**head, "object": "chat.completion.chunk"}
    deltas = [{"role": "assistant", "content": ""}, {k: v for k, v in message.items() if k != "role"}]
    chunks = [
        {**chunk, "choices": [{"index": 0, "delta": d, "finish_reason": None}], "usage": None} for d in deltas
    ]
    chunks.append({**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    chunks.append({**chunk, "choices": [], "usage": _USAGE})
    return {"whole": whole, "chunks": chunks}


SHAPES = [
    ({"messages": turns, **fields}, _reply(message, finish))
    for turns, fields, (message, finish) in itertools.product(_TURNS, _FIELDS, _MESSAGES)
]
"""Each request with each answer."""
