"""Hooks for Schemathesis: rules of the sandbox that its OpenAPI document cannot express.

A body that the document allows may be rejected for two reasons only: a behavior that the account does not offer, and a value that another
integration has. Both are checked here against the account, not against the text of the response.
"""

import atexit
import json
import os

import requests
import schemathesis
from schemathesis.openapi.checks import IgnoredAuth, MissingHeaderNotRejected, RejectedPositiveData

OFFERED = ["high_dlp", "imp_travel", "sentinel_one"]
BEHAVIORS = "dlp-risk-score-behaviors-put"
CREATE = "dlp-zt-risk-score-integration-create"
UPDATE = "dlp-zt-risk-score-integration-update"

answered = set()


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Adds examples with existing names and IDs, because random values never reach the rules."""
    # The sandbox has no history of an entry, and the SSF document belongs to another service.
    for path in [path for path in raw_schema["paths"] if path.endswith("/history") or path.startswith("/.well-known")]:
        del raw_schema["paths"][path]
    examples_of_time(raw_schema["components"]["parameters"])
    for parameter, dictionary in {"account_id": "accounts", "integration_id": "integrations", "user_id": "users"}.items():
        raw_schema["components"]["parameters"][parameter]["schema"]["example"] = first_word(dictionary)
    behavior = {"enabled": True, "risk_level": "low"}
    taken = {"integration_type": "Okta", "tenant_url": "https://tenant-1.okta.com", "reference_id": "reference-1"}
    free = {"integration_type": "Okta", "tenant_url": "https://free.okta.com", "reference_id": "free"}
    examples = {
        BEHAVIORS: [{"behaviors": dict.fromkeys(OFFERED, behavior)}, {"behaviors": {"not_offered": behavior}}],
        CREATE: [taken, free],
        UPDATE: [taken | {"active": False}, {"tenant_url": "https://also-free.okta.com", "active": True}],
    }
    for item in raw_schema["paths"].values():
        for operation in item.values():
            bodies = examples.get(isinstance(operation, dict) and operation.get("operationId"), [])
            if bodies:
                content = operation["requestBody"]["content"]["application/json"]
                content["examples"] = {f"example-{n}": {"value": body} for n, body in enumerate(bodies)}


def examples_of_time(parameters):
    """Restricts times to timestamps. The document describes their format only in its text."""
    for name in ("since", "before"):
        parameters[name]["schema"]["format"] = "date-time"
    parameters["cursor"]["schema"]["enum"] = [""]


def first_word(dictionary):
    with open(dictionary, encoding="utf-8") as file:
        return json.loads(file.readline())


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Drops the allowed failures: the two above, and missing credentials, which the real service rejects with 400."""
    if isinstance(failure, IgnoredAuth) and failure.title.startswith("Unexpected response"):
        return False
    if isinstance(failure, MissingHeaderNotRejected) and response.status_code == 400:
        return False
    if not isinstance(failure, RejectedPositiveData) or response.status_code != 400:
        return True
    errors = response.json()["errors"]
    return not errors or not all(may_be_rejected(error, case, response) for error in errors)


def may_be_rejected(error, case, response):
    pointer = error.get("source", {}).get("pointer", "")
    operation = case.operation.definition.raw["operationId"]
    if operation == BEHAVIORS:
        key = pointer.removeprefix("/behaviors/").replace("~1", "/").replace("~0", "~")
        return key in case.body["behaviors"] and key not in OFFERED
    if operation in (CREATE, UPDATE) and pointer in ("/reference_id", "/tenant_url"):
        field = pointer.removeprefix("/")
        return case.body[field] and taken(field, case, response)
    return False


def taken(field, case, response):
    """Returns true if another integration has this value."""
    url = response.request.url.split("/integrations")[0] + "/integrations"
    integrations = requests.get(url, headers={"Authorization": "Bearer riskform-sandbox"}, timeout=10).json()["result"]
    about = (case.path_parameters or {}).get("integration_id")
    held = [other[field] for other in integrations if other["id"] != about]
    return any(comparable(value) == comparable(case.body[field]) for value in held)


def comparable(value):
    """Ignores case and trailing slashes of tenant URLs. No two references differ only in these."""
    return value.lower().rstrip("/")


@schemathesis.hook
def after_call(context, case, response):
    if 200 <= response.status_code < 300:
        answered.add(case.operation.definition.raw["operationId"])


@atexit.register
def name_what_succeeded():
    with open(os.environ["SUCCEEDED"], "a", encoding="utf-8") as file:
        file.writelines(f"{operation}\n" for operation in sorted(answered))
