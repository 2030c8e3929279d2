"""JSON schemas of KServe's open inference protocol v2 over HTTP, after its published description.

https://github.com/kserve/open-inference-protocol: specification/protocol/open_inference_rest.yaml and
inference_rest.md, the stricter of the two where they differ. Fields that an object does not list are left
open, as the extensions need; none may be null.
"""

from __future__ import annotations

from typing import Any

STRING = {"type": "string"}
STRINGS = {"type": "array", "items": STRING}
DATATYPE = {
    "enum": [
        "BOOL",
        *(f"{kind}{bits}" for kind in ("UINT", "INT") for bits in (8, 16, 32, 64)),
        *("FP16", "FP32", "FP64", "BF16", "BYTES"),
    ]
}
PARAMETERS = {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}
METADATA_TENSOR = {
    "type": "object",
    "required": ["name", "datatype", "shape"],
    "properties": {
        "name": STRING,
        "datatype": DATATYPE,
        # -1 is a dimension of any size.
        "shape": {"type": "array", "items": {"type": "integer", "minimum": -1}},
        "parameters": PARAMETERS,
    },
}
DATA = {"type": "array"}
TENSOR = {
    "type": "object",
    "required": ["name", "shape", "datatype", "data"],
    "properties": {
        "name": STRING,
        "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
        "datatype": DATATYPE,
        "parameters": PARAMETERS,
        "data": DATA,
    },
}
SERVER_METADATA: dict[str, Any] = {
    "type": "object",
    "required": ["name", "version", "extensions"],
    "properties": {"name": STRING, "version": STRING, "extensions": STRINGS},
}
MODEL_METADATA: dict[str, Any] = {
    "type": "object",
    "required": ["name", "platform", "inputs", "outputs"],
    "properties": {
        "name": STRING,
        "versions": STRINGS,
        "platform": STRING,
        "inputs": {"type": "array", "items": METADATA_TENSOR},
        "outputs": {"type": "array", "items": METADATA_TENSOR},
    },
}
INFERENCE_REQUEST: dict[str, Any] = {
    "type": "object",
    "required": ["inputs"],
    "properties": {
        "id": STRING,
        "parameters": PARAMETERS,
        "inputs": {"type": "array", "items": TENSOR},
        "outputs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": STRING, "parameters": PARAMETERS},
            },
        },
    },
}
INFERENCE_ANSWER: dict[str, Any] = {
    "type": "object",
    "required": ["model_name", "outputs"],
    "properties": {
        "model_name": STRING,
        "model_version": STRING,
        "id": STRING,
        "parameters": PARAMETERS,
        "outputs": {"type": "array", "items": TENSOR},
    },
}
MODEL_READY: dict[str, Any] = {
    "type": "object",
    "required": ["name", "ready"],
    "properties": {"name": STRING, "ready": {"type": "boolean"}},
}
LIVE: dict[str, Any] = {
    "type": "object",
    "required": ["live"],
    "properties": {"live": {"type": "boolean"}},
}
READY: dict[str, Any] = {
    "type": "object",
    "required": ["ready"],
    "properties": {"ready": {"type": "boolean"}},
}
ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": STRING},
}
