//! Who somebody is and what they can do: said once in `initialize`, or in the `_meta` of every stateless request; and
//! of servers, in the answer to `initialize` or to `server/discover`.

use std::borrow::Cow;

use super::{Level, Notes, Way};
use crate::capability;
use crate::json::{Draft, Object, elements, object, quoted, string, strings};
use crate::message::meta::{
    CLIENT_CAPABILITIES, CLIENT_INFO, LOG_LEVEL, OF_REQUESTS, PROTOCOL_VERSION, SERVER_INFO,
};
use crate::message::{Failure, Kind, Message, codes, error};
use crate::revision::Revision;

/// Who says nothing of itself where something must be said.
const UNNAMED: &str = r#"{"name":"unnamed","version":"unknown"}"#;

/// What a client says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientHello<'a> {
    /// The revision that it asks for, which nobody may have heard of.
    pub version: Cow<'a, str>,
    /// Its name and version: a JSON object, where it says so.
    pub info: Option<&'a str>,
    /// What it can do: a JSON object.
    pub capabilities: &'a str,
    /// From which level on it wants log messages. Of a stateful client: what it set with `logging/setLevel`.
    pub log_level: Option<Level>,
}

/// What a client must say of itself and does not, or not as it must.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is missing or not what it must be")]
pub struct HelloError(pub &'static str);

impl HelloError {
    /// The error code of the answer.
    pub const fn code(self) -> i64 {
        codes::INVALID_PARAMS
    }
}

impl<'a> ClientHello<'a> {
    /// What the params of `initialize` say.
    pub fn of_initialize(params: Option<&'a str>) -> Result<Self, HelloError> {
        let params = params.and_then(Object::read).ok_or(HelloError("params"))?;
        Ok(Self {
            version: params.string("protocolVersion").ok_or(HelloError("protocolVersion"))?,
            info: optional_object(&params, "clientInfo")?,
            capabilities: optional_object(&params, "capabilities")?.ok_or(HelloError("capabilities"))?,
            log_level: None,
        })
    }

    /// What the params of a stateless request say.
    pub fn of_request(params: Option<&'a str>) -> Result<Self, HelloError> {
        let meta = params.and_then(Object::read).and_then(|params| params.object("_meta"));
        let meta = meta.ok_or(HelloError("_meta"))?;
        let log_level = match meta.get(LOG_LEVEL) {
            None => None,
            Some(level) => {
                let level = string(level).and_then(|level| Level::parse(&level));
                Some(level.ok_or(HelloError(LOG_LEVEL))?)
            }
        };
        Ok(Self {
            version: meta.string(PROTOCOL_VERSION).ok_or(HelloError(PROTOCOL_VERSION))?,
            info: optional_object(&meta, CLIENT_INFO)?,
            capabilities: optional_object(&meta, CLIENT_CAPABILITIES)?
                .ok_or(HelloError(CLIENT_CAPABILITIES))?,
            log_level,
        })
    }

    /// The `_meta` of a request to a stateless server that speaks `to`: what is there already, and who asks.
    pub(super) fn meta(&self, known: Option<&str>, to: Revision, notes: &mut Notes) -> String {
        let known = known.and_then(Object::read).or_else(|| Object::read("{}"));
        let Some(mut draft) = known.map(Object::draft) else { return String::new() };
        // What a client wrote there itself counts for nothing: it is no stateless client.
        OF_REQUESTS.iter().for_each(|name| draft.remove(name));
        draft.set(PROTOCOL_VERSION, quoted(to.name()));
        draft.set(CLIENT_CAPABILITIES, capability::of_client(self.capabilities, to, notes));
        if let Some(info) = self.info {
            draft.set(CLIENT_INFO, info);
        }
        if let Some(level) = self.log_level {
            draft.set(LOG_LEVEL, quoted(level.name()));
        }
        draft.finish().into_owned()
    }

    /// Gives the params of `initialize` to a stateful server that speaks `to` what it requires.
    pub(super) fn initialize(&self, params: &mut Draft<'_>, to: Revision, notes: &mut Notes) {
        let same = params.was().string("protocolVersion").as_deref() == Some(to.name());
        if !same {
            params.set("protocolVersion", quoted(to.name()));
        }
        let capabilities = capability::of_client(self.capabilities, to, notes);
        if params.was().get("capabilities") != Some(&capabilities) {
            params.set("capabilities", capabilities);
        }
        if !params.was().has("clientInfo") {
            params.set("clientInfo", self.info.unwrap_or(UNNAMED));
        }
    }
}

fn optional_object<'a>(of: &Object<'a>, name: &'static str) -> Result<Option<&'a str>, HelloError> {
    match of.get(name) {
        None => Ok(None),
        Some(text) if text.starts_with('{') => Ok(Some(text)),
        Some(_) => Err(HelloError(name)),
    }
}

/// The result of `initialize` for somebody who speaks `to`, from that of `initialize` of another revision, or from that
/// of `server/discover`.
pub fn initialize_result<'a>(result: &'a str, to: Revision, notes: &mut Notes) -> Cow<'a, str> {
    let Some(object) = Object::read(result) else { return Cow::Borrowed(result) };
    let stateless = object.has("supportedVersions");
    let info = object.object("_meta").and_then(|meta| meta.get(SERVER_INFO));
    let mut draft = object.draft();
    if draft.was().string("protocolVersion").as_deref() != Some(to.name()) {
        draft.set("protocolVersion", quoted(to.name()));
    }
    draft.map("capabilities", |said| capability::of_server(said, to, notes));
    if stateless {
        ["resultType", "supportedVersions", "ttlMs", "cacheScope"].iter().for_each(|name| draft.remove(name));
        draft.set("serverInfo", info.unwrap_or(UNNAMED));
        draft.map("_meta", |meta| without_members(meta, &[SERVER_INFO]));
    }
    draft.finish()
}

/// The result of `server/discover`, from that of `initialize`. A client that reads it may speak any of `spoken`.
pub fn discover_result<'a>(result: &'a str, spoken: &[Revision], notes: &mut Notes) -> Cow<'a, str> {
    let Some(object) = Object::read(result) else { return Cow::Borrowed(result) };
    let to = spoken.iter().copied().max().unwrap_or(Revision::NEWEST);
    let (info, meta) = (object.get("serverInfo"), object.get("_meta"));
    let mut draft = object.draft();
    draft.remove("protocolVersion");
    draft.remove("serverInfo");
    draft.set("resultType", quoted("complete"));
    draft.set("supportedVersions", strings(spoken.iter().map(|revision| revision.name())));
    draft.map("capabilities", |said| capability::of_server(said, to, notes));
    if let Some(info) = info {
        let meta = meta.and_then(Object::read).or_else(|| Object::read("{}"));
        if let Some(mut meta) = meta.map(Object::draft) {
            meta.set(SERVER_INFO, info);
            draft.set("_meta", meta.finish().into_owned());
        }
    }
    // Whoever connects with other credentials may see another server.
    draft.set("ttlMs", "0");
    draft.set("cacheScope", quoted("private"));
    draft.finish()
}

/// The object `text` without some members.
pub(super) fn without_members<'a>(text: &'a str, names: &[&str]) -> Cow<'a, str> {
    let Some(mut draft) = Object::read(text).map(Object::draft) else { return Cow::Borrowed(text) };
    let there: Vec<&&str> = names.iter().filter(|name| draft.was().has(name)).collect();
    there.into_iter().for_each(|name| draft.remove(name));
    draft.finish()
}

/// The answer to a stateless request for a revision that is not among `spoken`.
pub fn unsupported_version(id: &str, asked: &str, spoken: &[Revision], way: Way) -> String {
    let data = object([
        ("supported", Cow::Owned(strings(spoken.iter().map(|revision| revision.name())))),
        ("requested", Cow::Owned(quoted(asked))),
    ]);
    let failure = Failure {
        code: codes::UNSUPPORTED_PROTOCOL_VERSION,
        message: "Unsupported protocol version".into(),
        data: Some(data.into()),
    };
    error(Some(id), &failure, way.to)
}

/// How a server is to be spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// Without a handshake, in this revision.
    Stateless(Revision),
    /// With `initialize`.
    Stateful,
    /// Not at all: it says which versions it speaks, and none is spoken here.
    Nothing,
}

/// What the answer to `server/discover` in the revision `asked` says of a server (2026-07-28, versioning). Any answer
/// that no stateless server gives, whatever its code, is that of a stateful one.
pub fn era(answer: &Message<'_>, asked: Revision, spoken: &[Revision]) -> Era {
    let listed = match answer.kind() {
        Kind::Response { result, .. } => Object::read(result).and_then(|r| r.get("supportedVersions")),
        Kind::Error { error, .. } => match error.code {
            codes::UNSUPPORTED_PROTOCOL_VERSION => {
                error.data.and_then(Object::read).and_then(|data| data.get("supported"))
            }
            codes::HEADER_MISMATCH | codes::MISSING_REQUIRED_CLIENT_CAPABILITY => {
                return Era::Stateless(asked);
            }
            _ => None,
        },
        Kind::Request { .. } | Kind::Notification { .. } => None,
    };
    let Some(listed) = listed.and_then(elements) else { return Era::Stateful };
    let known = listed.into_iter().filter_map(string).filter_map(|name| Revision::parse(&name));
    match known.filter(|revision| spoken.contains(revision)).max() {
        Some(revision) if revision.is_stateless() => Era::Stateless(revision),
        Some(_) => Era::Stateful,
        None => Era::Nothing,
    }
}
