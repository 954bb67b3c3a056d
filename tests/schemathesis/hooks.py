"""What Schemathesis must know about the sandbox beyond its OpenAPI document.

A body that the document allows may be refused for two reasons only, which no schema can say: a behavior that the account does not
offer, and a key that another integration has taken. Both are checked here against the account itself, not against the answer's words.
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
    """Adds examples that reach the rules behind the schema, for nobody draws the name of a behavior or the id of a user by chance."""
    # The sandbox has no history of an entry, and the SSF document belongs to another service.
    for path in [path for path in raw_schema["paths"] if path.endswith("/history") or path.startswith("/.well-known")]:
        del raw_schema["paths"][path]
    examples_of_time(raw_schema["components"]["parameters"])
    for parameter, dictionary in {"account_id": "accounts", "integration_id": "integrations", "user_id": "users"}.items():
        raw_schema["components"]["parameters"][parameter]["schema"]["example"] = first_word(dictionary)
    behavior = {"enabled": True, "risk_level": "low"}
    taken = {"integration_type": "Okta", "tenant_url": "https://tenant-1.okta.com", "reference_id": "reference-1"}
    free = {"integration_type": "Okta", "tenant_url": "https://nobody-has.okta.com", "reference_id": "nobody-has"}
    examples = {
        BEHAVIORS: [{"behaviors": dict.fromkeys(OFFERED, behavior)}, {"behaviors": {"not_offered": behavior}}],
        CREATE: [taken, free],
        UPDATE: [taken | {"active": False}, {"tenant_url": "https://nobody-has-either.okta.com", "active": True}],
    }
    for item in raw_schema["paths"].values():
        for operation in item.values():
            bodies = examples.get(isinstance(operation, dict) and operation.get("operationId"), [])
            if bodies:
                content = operation["requestBody"]["content"]["application/json"]
                content["examples"] = {f"example-{n}": {"value": body} for n, body in enumerate(bodies)}


def examples_of_time(parameters):
    """A text that is neither a date nor a timestamp is refused, which the document says in words only."""
    for name in ("since", "before"):
        parameters[name]["schema"]["format"] = "date-time"
    parameters["cursor"]["schema"]["enum"] = [""]


def first_word(dictionary):
    with open(dictionary, encoding="utf-8") as file:
        return json.loads(file.readline())


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Keeps every failure but the two that are allowed, and those about how a lack of credentials is refused: with 400, as the real service does."""
    if isinstance(failure, IgnoredAuth) and failure.title.startswith("Unexpected response"):
        return False
    if isinstance(failure, MissingHeaderNotRejected) and response.status_code == 400:
        return False
    if not isinstance(failure, RejectedPositiveData) or response.status_code != 400:
        return True
    errors = response.json()["errors"]
    return not errors or not all(may_be_refused(error, case, response) for error in errors)


def may_be_refused(error, case, response):
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
    """Whether an integration other than the one that the request is about has this value."""
    url = response.request.url.split("/integrations")[0] + "/integrations"
    integrations = requests.get(url, headers={"Authorization": "Bearer riskform-sandbox"}, timeout=10).json()["result"]
    about = (case.path_parameters or {}).get("integration_id")
    held = [one[field] for one in integrations if one["id"] != about]
    return any(comparable(value) == comparable(case.body[field]) for value in held)


def comparable(value):
    """Two tenant URLs are the same in any case and with any number of trailing slashes; no reference here differs by that alone."""
    return value.lower().rstrip("/")


@schemathesis.hook
def after_call(context, case, response):
    if 200 <= response.status_code < 300:
        answered.add(case.operation.definition.raw["operationId"])


@atexit.register
def name_what_succeeded():
    with open(os.environ["SUCCEEDED"], "a", encoding="utf-8") as file:
        file.writelines(f"{operation}\n" for operation in sorted(answered))
