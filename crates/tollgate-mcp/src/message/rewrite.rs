//! Exchanging the ids of a message. A gate speaks for many clients over one connection, so the ids that it uses there
//! are its own, and every place in which a message names one is exchanged at once: one that nobody knows must not pass.

use std::borrow::Cow;

use super::meta::{PROGRESS_TOKEN, SUBSCRIPTION_ID};
use super::{Id, Kind, Message};
use crate::json::{Draft, Object};

/// Where a message names an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The message's own: a request that somebody makes, or the request that it answers.
    Message,
    /// The token that a request asks to be told progress under.
    AsksProgress,
    /// The token under which progress is told.
    Progress,
    /// The request that is called off.
    Cancelled,
    /// The subscription that a notification or a result belongs to.
    Subscription,
}

/// A message that names an id which nobody knows, or one that is no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message names an id that is not known ({0:?})")]
pub struct Foreign(pub Place);

/// The ids that `message` names, and where. One that is neither a string nor an integer is not among them.
pub fn mentions<'a>(message: &Message<'a>) -> Vec<(Place, Id<'a>)> {
    let mut found: Vec<_> = message.id().map(|id| (Place::Message, id.clone())).into_iter().collect();
    let inner = match message.kind() {
        Kind::Response { result, .. } => Object::read(result),
        _ => message.params().and_then(Object::read),
    };
    let Some(inner) = inner else { return found };
    let meta = inner.object("_meta");
    let places = places(message);
    let in_meta = [(Place::AsksProgress, PROGRESS_TOKEN), (Place::Subscription, SUBSCRIPTION_ID)];
    let named = |object: &Object<'a>, name: &str| object.get(name).and_then(Id::read);
    for (place, name) in places.iter().filter_map(|place| direct(*place).map(|name| (*place, name))) {
        found.extend(named(&inner, name).map(|id| (place, id)));
    }
    if let Some(meta) = meta {
        for (place, name) in in_meta.into_iter().filter(|(place, _)| places.contains(place)) {
            found.extend(named(&meta, name).map(|id| (place, id)));
        }
    }
    found
}

/// The places in which a message of this kind names ids, beside its own.
fn places(message: &Message<'_>) -> &'static [Place] {
    match (message.kind(), message.method()) {
        (Kind::Request { .. }, _) => &[Place::AsksProgress],
        (Kind::Notification { .. }, Some("notifications/progress")) => {
            &[Place::Progress, Place::Subscription]
        }
        (Kind::Notification { .. }, Some("notifications/cancelled")) => {
            &[Place::Cancelled, Place::Subscription]
        }
        (Kind::Notification { .. } | Kind::Response { .. }, _) => &[Place::Subscription],
        (Kind::Error { .. }, _) => &[],
    }
}

/// The member of params that a place is; `None` of those in `_meta`.
fn direct(place: Place) -> Option<&'static str> {
    match place {
        Place::Progress => Some(PROGRESS_TOKEN),
        Place::Cancelled => Some("requestId"),
        Place::Message | Place::AsksProgress | Place::Subscription => None,
    }
}

/// `message` with every id that it names exchanged for the JSON text that `known` says. Where it knows none, the message
/// does not pass: whose it is cannot be told.
pub fn rewrite<'a>(
    message: &Message<'a>,
    mut known: impl FnMut(Place, &Id<'a>) -> Option<String>,
) -> Result<String, Foreign> {
    let mut draft = message.draft();
    if let Some(id) = message.id() {
        draft.set("id", known(Place::Message, id).ok_or(Foreign(Place::Message))?);
    }
    let member = if matches!(message.kind(), Kind::Response { .. }) { "result" } else { "params" };
    if let Some(inner) = draft.was().object(member) {
        draft.set(member, exchanged(inner, places(message), &mut known)?);
    }
    Ok(draft.finish().into_owned())
}

type Known<'k, 'a> = &'k mut dyn FnMut(Place, &Id<'a>) -> Option<String>;

fn exchanged<'a>(inner: Object<'a>, places: &[Place], known: Known<'_, 'a>) -> Result<Cow<'a, str>, Foreign> {
    let meta = inner.object("_meta");
    let mut draft = inner.draft();
    for place in places {
        if let Some(name) = direct(*place) {
            exchange(&mut draft, name, *place, known)?;
        }
    }
    if let Some(meta) = meta {
        let mut meta = meta.draft();
        if places.contains(&Place::AsksProgress) {
            exchange(&mut meta, PROGRESS_TOKEN, Place::AsksProgress, known)?;
        }
        if places.contains(&Place::Subscription) {
            exchange(&mut meta, SUBSCRIPTION_ID, Place::Subscription, known)?;
        }
        if let Cow::Owned(meta) = meta.finish() {
            draft.set("_meta", meta);
        }
    }
    Ok(draft.finish())
}

fn exchange<'a>(
    draft: &mut Draft<'a>,
    name: &str,
    place: Place,
    known: Known<'_, 'a>,
) -> Result<(), Foreign> {
    let Some(raw) = draft.was().get(name) else { return Ok(()) };
    let id = Id::read(raw).ok_or(Foreign(place))?;
    draft.set(name, known(place, &id).ok_or(Foreign(place))?);
    Ok(())
}
