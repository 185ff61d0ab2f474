//! Finding the holders that a request names. A key is named by itself, by its hash, which LiteLLM calls its token, or by
//! its name here; some routes take what people call it.

use std::sync::Arc;

use tollgate_core::access::{Account, Holder, HolderKind, HolderRef, Key, KeyHash};
use tollgate_ledger::Listed;

use crate::Sources;
use crate::error::ApiError;
use crate::holders::changeable;
use crate::who::Who;

/// The key that `text` names, where whoever asks may see it. What it is named by may be a secret: it is not repeated.
pub(super) fn key(sources: &Sources, who: &Who, text: &str) -> Result<Listed, ApiError> {
    let ledger = sources.registrar.ledger();
    let by_hash = || text.parse::<KeyHash>().ok().and_then(|hash| ledger.key(hash));
    let found = if text.starts_with("sk-") {
        ledger.key(KeyHash::of(text))
    } else {
        by_hash().or_else(|| ledger.get(&name(HolderKind::Key, text)))
    };
    let found = found.filter(|listed| who.sees(&listed.account.holder));
    found.ok_or_else(|| no_such_key("there is no such key"))
}

fn no_such_key(why: &str) -> ApiError {
    ApiError { member: Some("key".to_owned()), ..ApiError::missing(why) }
}

/// The same, where whoever asks may change it.
pub(super) fn changeable_key(sources: &Sources, who: &Who, text: &str) -> Result<HolderRef, ApiError> {
    let listed = key(sources, who, text)?;
    changeable(sources, who, HolderKind::Key, &listed.account.holder.name().id)
}

/// The one key that people call `alias`.
pub(super) fn key_called(sources: &Sources, who: &Who, alias: &str) -> Result<HolderRef, ApiError> {
    let called = all(sources, who, HolderKind::Key, |holder| holder.alias() == Some(alias));
    match called.as_slice() {
        [] => Err(no_such_key(&format!("there is no key with the alias {alias:?}"))),
        [one] => changeable(sources, who, HolderKind::Key, &one.account.holder.name().id),
        _ => Err(ApiError::of("key_aliases", format!("several keys have the alias {alias:?}: name the key"))),
    }
}

/// Refuses an alias that another key has: scripts that are run twice rely on it.
pub(super) fn free_alias(sources: &Sources, alias: &str, own: Option<&HolderRef>) -> Result<(), ApiError> {
    let taken = |holder: &Holder| holder.alias() == Some(alias) && own != Some(&holder.name());
    let page = sources.registrar.ledger().page(HolderKind::Key, None, 1, taken);
    if page.holders.is_empty() {
        return Ok(());
    }
    Err(ApiError::taken("key_alias", format!("there is a key with the alias {alias:?} already")))
}

/// The user or team called `id`, where whoever asks may see it.
pub(super) fn holder(sources: &Sources, who: &Who, kind: HolderKind, id: &str) -> Result<Listed, ApiError> {
    let listed = sources.registrar.ledger().get(&name(kind, id));
    let listed = listed.filter(|listed| who.sees(&listed.account.holder));
    listed.ok_or_else(|| ApiError {
        member: Some(format!("{}_id", kind.name())),
        ..ApiError::missing(format!("there is no {}", name(kind, id)))
    })
}

/// The user with an address, where there is one.
pub(super) fn user_at(sources: &Sources, email: &str) -> Option<Listed> {
    let at =
        |holder: &Holder| matches!(holder, Holder::User(user) if user.spec.email.as_deref() == Some(email));
    sources.registrar.ledger().page(HolderKind::User, None, 1, at).holders.pop()
}

/// Every holder of `kind` that is wanted and may be seen, in the order of their names.
pub(super) fn all(
    sources: &Sources,
    who: &Who,
    kind: HolderKind,
    wanted: impl Fn(&Holder) -> bool,
) -> Vec<Listed> {
    let wanted = |holder: &Holder| who.sees(holder) && wanted(holder);
    sources.registrar.ledger().page(kind, None, usize::MAX, wanted).holders
}

/// The keys that are wanted.
pub(super) fn keys(sources: &Sources, who: &Who, wanted: impl Fn(&Key) -> bool) -> Vec<Arc<Account>> {
    let wanted = |holder: &Holder| holder.as_key().is_some_and(&wanted);
    all(sources, who, HolderKind::Key, wanted).into_iter().map(|listed| listed.account).collect()
}

pub(super) fn name(kind: HolderKind, id: &str) -> HolderRef {
    HolderRef { kind, id: id.into() }
}
