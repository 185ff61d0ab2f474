//! Whoever has a login here, as the rest of the gate knows them.

use std::sync::Arc;

use jiff::Timestamp;
use tollgate_core::access::Role;
use tollgate_core::identity::{Login, Subject};
use tollgate_core::principal::{ActorKind, Principal};

/// The user of `login`, with nothing that groups say.
pub(crate) fn subject(login: &Login) -> Subject {
    Subject {
        principal: principal(login),
        role: Role::Member,
        user: Some(Arc::clone(&login.user)),
        login: Some(Arc::clone(&login.subject)),
        team: None,
        identity: Arc::default(),
        scopes: Vec::new(),
        until: Timestamp::MAX,
    }
}

/// The same in records.
pub(crate) fn principal(login: &Login) -> Principal {
    Principal::direct(ActorKind::User, Arc::clone(&login.user))
}
