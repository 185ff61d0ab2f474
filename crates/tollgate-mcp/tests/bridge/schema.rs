//! Everything that is said fits the published schema of the revision that it is said in, before and after.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tollgate_mcp::bridge::Way;
use tollgate_mcp::message::Kind;
use tollgate_mcp::method::{METHODS, Method, Side};
use tollgate_mcp::revision::Revision;

use crate::cases::{Became, all, becomes, read_one};
use crate::shared;

/// The published schema of a revision, and validators of its types as they are needed.
pub(crate) struct Published {
    revision: Revision,
    document: Value,
    made: BTreeMap<String, jsonschema::Validator>,
}

impl Published {
    pub(crate) fn read(revision: Revision) -> Option<Self> {
        let text = shared::read(&format!("specs/mcp/{revision}/schema.json"))?;
        Some(Self { revision, document: serde_json::from_str(&text).unwrap(), made: BTreeMap::new() })
    }

    fn root(&self) -> &'static str {
        if self.document.get("$defs").is_some() { "$defs" } else { "definitions" }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.document[self.root()].get(name).is_some()
    }

    /// What keeps `value` from being a `name`.
    pub(crate) fn errors(&mut self, name: &str, value: &Value) -> Vec<String> {
        assert!(self.has(name), "{}: no {name}", self.revision);
        if !self.made.contains_key(name) {
            let mut document = self.document.clone();
            document["$ref"] = json!(format!("#/{}/{name}", self.root()));
            self.made.insert(name.to_owned(), jsonschema::validator_for(&document).unwrap());
        }
        let errors = self.made[name].iter_errors(value);
        errors.map(|e| format!("{name}: {}: {e}", e.instance_path())).collect()
    }

    /// The type with the constant `method` that is called a request or a notification.
    fn of_method(&self, method: &str) -> Option<String> {
        let named = |definition: &Value| definition["properties"]["method"]["const"] == *method;
        let all = self.document[self.root()].as_object().unwrap();
        all.iter().find(|(_, definition)| named(definition)).map(|(name, _)| name.clone())
    }

    /// What keeps `message`, of which the asker called the method `method`, from being one of this revision.
    pub(crate) fn message_errors(&mut self, text: &str, method: Option<&str>) -> Vec<String> {
        let message = read_one(text, self.revision);
        let value: Value = serde_json::from_str(text).unwrap();
        let first = |names: &[&'static str]| *names.iter().find(|name| self.has(name)).unwrap();
        match message.kind() {
            Kind::Request { method, .. } => {
                let mut errors = self.errors("JSONRPCRequest", &value);
                errors.extend(self.of_method(method).map(|n| self.errors(&n, &value)).unwrap_or_default());
                errors
            }
            Kind::Notification { method, .. } => {
                let mut errors = self.errors("JSONRPCNotification", &value);
                errors.extend(self.of_method(method).map(|n| self.errors(&n, &value)).unwrap_or_default());
                errors
            }
            Kind::Response { .. } => {
                // What a stateless client answers stands in its next request, and is no message.
                let asked_by_server = method.and_then(Method::find).is_some_and(|m| m.by == Side::Server);
                let mut errors = Vec::new();
                if !(asked_by_server && self.revision.is_stateless()) {
                    errors = self.errors(first(&["JSONRPCResultResponse", "JSONRPCResponse"]), &value);
                }
                // A server's question ends the request of a client that nobody named here.
                let name = result_name(self, method.unwrap_or("tools/call"), &value["result"]);
                errors.extend(self.errors(&name, &value["result"]));
                errors
            }
            Kind::Error { .. } => self.errors(first(&["JSONRPCErrorResponse", "JSONRPCError"]), &value),
        }
    }
}

/// The type of the result of `method`: that of its request, but for the last word.
fn result_name(published: &Published, method: &str, result: &Value) -> String {
    if result["resultType"] == "input_required" {
        return "InputRequiredResult".to_owned();
    }
    let request = published.of_method(method).unwrap_or_default();
    let name = request.replace("Request", "Result");
    if published.has(&name) { name } else { "Result".to_owned() }
}

/// What the asker called a method that the answerer called `method`.
pub(crate) fn asked_as(method: Option<&str>, asker: Revision) -> Option<&str> {
    match method {
        Some("initialize" | "server/discover") if asker.is_stateless() => Some("server/discover"),
        Some("initialize" | "server/discover") => Some("initialize"),
        other => other,
    }
}

#[test]
fn what_is_said_fits_the_schema_of_whoever_listens() {
    let mut published = Vec::new();
    for revision in Revision::ALL {
        let Some(read) = Published::read(revision) else { return };
        published.push(read);
    }
    let of = |revision| Revision::ALL.iter().position(|known| *known == revision).unwrap();
    let mut wrong = Vec::new();
    for case in all() {
        let text = case.text();
        let asked = case.asked.as_ref().map(Value::to_string);
        for from in case.speakers() {
            let errors = published[of(from)].message_errors(&text, asked_as(case.method.as_deref(), from));
            wrong.extend(errors.into_iter().map(|e| format!("{} as it is said in {from}: {e}", case.name)));
            for to in Revision::ALL {
                let way = Way::new(from, to);
                let (became, _) = becomes(&text, case.method.as_deref(), asked.as_deref(), way);
                let method = asked_as(case.method.as_deref(), to);
                let said = match became {
                    Became::Message(said) => vec![said],
                    Became::Asks(said) => said,
                    Became::Instead(_) | Became::Refused(_) => continue,
                };
                for said in said {
                    let errors = published[of(to)].message_errors(&said, method);
                    wrong.extend(
                        errors.into_iter().map(|e| format!("{} {from} to {to}: {e}\n{said}", case.name)),
                    );
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The table of methods says of each revision what its schema says.
#[test]
fn the_table_of_methods_is_that_of_the_schemas() {
    for revision in Revision::ALL {
        let Some(published) = Published::read(revision) else { return };
        for method in METHODS {
            // In stateless revisions servers ask the same, but in results.
            let is_there = published.of_method(method.name).is_some();
            let is_asked = revision.is_stateless() && method.by == Side::Server && method.is_request;
            assert_eq!(method.is_in(revision) || is_asked, is_there, "{revision}: {}", method.name);
        }
        let known = |name: &str| METHODS.iter().any(|method| method.name == name);
        let all = published.document[published.root()].as_object().unwrap();
        let named = all.values().filter_map(|d| d["properties"]["method"]["const"].as_str());
        for name in named {
            assert!(known(name), "{revision}: {name} is in no row");
        }
    }
}
