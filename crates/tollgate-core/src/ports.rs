//! What the domain needs of the world, as small traits. `wire.rs` in the binary chooses who fills them.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::access::{Caller, Holder, NotLetIn};
use crate::config::snapshot::Snapshot;
use crate::digest::{Digest, DigestKey};
use crate::document::{Document, DocumentRef};
use crate::fault::Fault;
use crate::identity::Subject;
use crate::ledger::{About, Hold, Meter, Need, Refusal, Standing};
use crate::price::{NanoUsd, Price};
use crate::query::Answering;
use crate::record::Entry;

/// Wall time, for records. Durations are measured on the runtime's own clock.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// The number of an entry in its journal, from 1 without gaps.
pub type Position = u64;

/// A wait that ends when an entry is safe.
pub type Safe = Pin<Box<dyn Future<Output = Result<(), JournalError>> + Send>>;

/// An entry that a journal has taken and not necessarily written.
#[derive(Clone, Debug, Default)]
pub struct Offered(Arc<OnceLock<Result<Position, JournalError>>>);

impl Offered {
    /// One of which it is known what became of it.
    pub fn settled(result: Result<Position, JournalError>) -> Self {
        Self(Arc::new(OnceLock::from(result)))
    }

    /// Says what became of it. Only the first word counts.
    pub fn settle(&self, result: Result<Position, JournalError>) {
        let _ = self.0.set(result);
    }

    /// What became of it, once that is known.
    pub fn result(&self) -> Option<&Result<Position, JournalError>> {
        self.0.get()
    }
}

/// The log of records and events.
pub trait Journal: Send + Sync {
    /// Appends `entry`. When this returns `Ok`, a killed process does not lose it.
    fn append(&self, entry: &Entry<'_>) -> Result<Position, JournalError> {
        self.collect(&self.offer(entry))
    }

    /// Takes `entry`, to be written together with those that others offer at the same time. Nothing is certain until it
    /// is collected.
    fn offer(&self, entry: &Entry<'_>) -> Offered;

    /// Writes what was offered, unless that has been done since, and says what became of this entry. When this returns
    /// `Ok`, a killed process does not lose it.
    fn collect(&self, offered: &Offered) -> Result<Position, JournalError>;

    /// Takes `entry`, which could not be appended, to be written as soon as that is possible again. It is in memory only.
    fn later(&self, _entry: &Entry<'_>) {}

    /// The wait until a power cut does not lose the entry at `position` either; `None` where the configuration does not
    /// ask for that.
    fn safe(&self, _position: Position) -> Option<Safe> {
        None
    }

    /// Whether calls may begin: whether the next `opened` entry can be expected to be written.
    fn ready(&self) -> Result<(), JournalError>;

    /// Keeps `frames` of a call aside and returns the name of the file. It is removed together with the entries that are
    /// written next.
    fn keep_aside(&self, frames: &[u8]) -> Result<Digest, JournalError>;

    /// The key of content digests.
    fn digest_key(&self) -> &DigestKey;
}

/// The journal could not take an entry.
#[derive(Clone, Debug, thiserror::Error)]
#[error("records cannot be written to {place}: {reason}")]
pub struct JournalError {
    /// The file or store.
    pub place: String,
    /// What the system said.
    pub reason: String,
}

/// Who may call, and what holds them: keys, budgets and limits.
pub trait Access: Send + Sync {
    /// Who holds the key that was `presented` from `peer`.
    fn identify(&self, presented: &str, peer: Option<IpAddr>, now: Timestamp) -> Result<Caller, NotLetIn>;

    /// Whoever is `subject`, as far as accounts are kept of them.
    fn of(&self, subject: &Arc<Subject>, now: Timestamp) -> Result<Caller, NotLetIn>;

    /// `caller`, who was let in from `peer` before, as they are now; why not, where they are let in no more.
    fn again(&self, caller: &Caller, peer: Option<IpAddr>, now: Timestamp) -> Result<Caller, NotLetIn>;

    /// What will be held for a call of `caller` that is `about` this, under every budget and limit that counts it; nothing yet.
    fn open(&self, caller: &Caller, about: About<'_>, now: Timestamp) -> Hold;

    /// Holds as much as a call now needs, under all of its rules or under none of them.
    fn hold(&self, hold: &mut Hold, need: &Need, now: Timestamp) -> Result<(), Refusal>;

    /// The most that could be held under the rules that are never passed, up to `most`; `None` where none counts the
    /// call.
    fn fits(&self, hold: &Hold, most: NanoUsd, now: Timestamp) -> Option<NanoUsd>;

    /// Tells how it stands with every rule that counts the call.
    fn tell_standings(&self, hold: &Hold, now: Timestamp, tell: &mut dyn FnMut(&Meter, Standing));

    /// Asks other instances for what is missing, of which was asked `times` before. `None` where there is nothing to
    /// hope for; otherwise it is worth to try again when the wait is over, or it fails because nobody can tell.
    fn ask<'a>(&'a self, refusal: &'a Refusal, times: u32) -> Option<Asking<'a>>;

    /// Counts what a call has used instead of what was held; `None` where nothing was sent. `hold` says afterwards what
    /// was counted.
    fn settle(&self, hold: &mut Hold, used: Option<&Need>, now: Timestamp);
}

/// A wait for other instances.
pub type Asking<'a> = Pin<Box<dyn Future<Output = Result<(), Fault>> + Send + 'a>>;

/// An instance that others can reach.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Peer {
    /// This run of it: another one remembers nothing of what this one held in memory.
    pub life: Arc<str>,
    /// Where, as the beginning of an address: `http://10.0.0.7:4000`.
    pub url: Arc<str>,
}

/// The instances that serve together.
pub trait Peers: Send + Sync {
    /// This run of this instance.
    fn life(&self) -> &str;

    /// Those that can be reached now, this one among them where it says how; none where this one serves alone.
    fn present(&self) -> Vec<Peer>;

    /// This instance stops: nobody is to hand anything on to it any more.
    fn leave(&self);

    /// Finds out again who can be reached: one that was to be reached was not.
    fn look_again(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// One instance that serves alone.
#[derive(Clone, Copy, Debug)]
pub struct Alone;

impl Peers for Alone {
    fn life(&self) -> &str {
        "alone"
    }

    fn present(&self) -> Vec<Peer> {
        Vec::new()
    }

    fn leave(&self) {}

    fn look_again(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::ready(()))
    }
}

/// Documents that instances share, each with a version: whoever writes one says which version was read.
pub trait Shelf: Send + Sync {
    /// The documents called `names` as they are.
    fn read<'a>(&'a self, names: &'a [String]) -> Answering<'a, Documents>;

    /// Writes those that are still of the version that was read, and says which ones these are.
    fn write<'a>(&'a self, documents: &'a [Rewritten]) -> Answering<'a, Vec<bool>>;

    /// The names of all documents in which `who` is named.
    fn naming<'a>(&'a self, who: &'a str) -> Answering<'a, Vec<String>>;
}

/// Documents as they were read.
#[derive(Clone, Debug)]
pub struct Documents {
    /// What time it is where they are kept.
    pub now: Timestamp,
    /// Which life of the store this is: in another it may have forgotten what was written last. Always the same where
    /// it forgets nothing.
    pub life: String,
    /// Each with its version, in the order in which they were asked for; version 0 and no text where there is none.
    pub each: Vec<(u64, Option<String>)>,
}

impl Documents {
    /// The version of the document that was asked for as number `at`, from 0.
    pub fn version(&self, at: usize) -> u64 {
        self.each.get(at).map_or(0, |(version, _)| *version)
    }
}

/// A document that is to be written.
#[derive(Clone, Debug)]
pub struct Rewritten {
    /// Its name.
    pub name: String,
    /// The version that was read.
    pub version: u64,
    /// What it says from now on.
    pub text: String,
    /// Until when it is of use; `None` for ever.
    pub ends: Option<Timestamp>,
}

/// Where documents of one sort are kept: keys, users and teams, where nothing else is said.
pub trait Registry<D: Document = Holder>: Send + Sync {
    /// What was changed after `change`, from the beginning for 0, in the order of the changes: as much of it as is read
    /// at once, so that there may be more after the last one, and nothing more where there is none. Where a document was
    /// changed several times, only the last is told.
    fn changed_after(&self, change: Change) -> Answering<'_, Vec<Stored<D>>>;

    /// Keeps `document` instead of the version that was made by the change `expected`, or as a new one.
    fn keep<'a>(&'a self, document: &'a D, expected: Option<Change>) -> Keeping<'a>;

    /// Removes the version that was made by the change `expected`.
    fn remove<'a>(&'a self, name: &'a DocumentRef<D::Kind>, expected: Change) -> Keeping<'a>;
}

/// The number of a change in a registry, from 1: changes are seen in the order of their numbers, which all sorts of
/// documents share.
pub type Change = u64;

/// A document as a registry keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored<D: Document = Holder> {
    /// Which one.
    pub name: DocumentRef<D::Kind>,
    /// The change that made it what it is.
    pub change: Change,
    /// What it is; `None` where it was removed.
    pub document: Option<D>,
}

/// A registry at work: the number of the change that was made.
pub type Keeping<'a> = Pin<Box<dyn Future<Output = Result<Change, KeepError>> + Send + 'a>>;

/// Why a change was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeepError {
    /// Somebody else has changed it meanwhile, or made one of that name.
    #[error("it was changed meanwhile, or there is one of that name already")]
    Conflict,
    /// The database said no.
    #[error("{0}")]
    Away(String),
}

/// What is known of a model apart from configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelFacts {
    /// The longest prompt, in tokens.
    pub max_input_tokens: Option<u64>,
    /// The longest answer, in tokens.
    pub max_output_tokens: Option<u64>,
    /// Whether the model answers to a JSON schema by itself.
    pub native_schema: bool,
    /// Whether `temperature`, `top_p` and `top_k` are refused by the model.
    pub no_sampling: bool,
    /// Whether the model decides by itself how long it thinks, and takes no budget for it.
    pub adaptive_thinking: bool,
    /// The list price.
    pub price: Option<Price>,
}

impl ModelFacts {
    /// These, with what `configured` says instead.
    #[must_use]
    pub fn overridden_by(self, configured: &Self) -> Self {
        Self {
            price: configured.price.clone().or(self.price),
            max_output_tokens: configured.max_output_tokens.or(self.max_output_tokens),
            ..self
        }
    }
}

/// The model catalog.
pub trait Catalog: Send + Sync {
    /// What is known of `model` at `provider`.
    fn facts(&self, provider: &str, model: &str) -> Option<ModelFacts>;
}

/// Who serves by the configuration of now.
pub trait Publish: Send + Sync {
    /// Replaces the configuration: calls that begin from now on have this one.
    fn publish(&self, snapshot: Snapshot);
}

/// The environment of the process, as configuration sees it.
pub trait Environment {
    /// The variable `name`; `None` when it is unset or not Unicode.
    fn variable(&self, name: &str) -> Option<String>;
    /// The content of the file at `path`.
    fn read(&self, path: &std::path::Path) -> std::io::Result<String>;
}

/// What kind of credential a provider takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// A key.
    Key,
    /// A key, or an access key that requests are signed with.
    Aws,
    /// A key, or a Google Cloud account that a token is fetched for.
    Google,
    /// A key, or an application in Microsoft Entra ID that a token is fetched for.
    Azure,
}

/// What configuration must know of a provider.
#[derive(Clone, Copy, Debug)]
pub struct ProviderFacts {
    /// Its name in configuration.
    pub name: &'static str,
    /// Its public address; `None` where the configuration must give one. `{region}`, `{project}` and `{location}`
    /// are filled in.
    pub base_url: Option<&'static str>,
    /// Variables that its own SDKs read a base URL from, first wins.
    pub base_url_variables: &'static [&'static str],
    /// Variables that its own SDKs read a credential from, first wins.
    pub key_variables: &'static [&'static str],
    /// What kind of credential it takes.
    pub credential: CredentialKind,
    /// Whether it can be called without a credential.
    pub key_optional: bool,
    /// Whether it fetches pictures by their addresses, unless a deployment says otherwise.
    pub image_urls: bool,
    /// The formats that it speaks, the one to prefer first.
    pub formats: &'static [&'static str],
}

/// The table of providers.
pub trait Providers: Send + Sync {
    /// The provider called `name`.
    fn find(&self, name: &str) -> Option<ProviderFacts>;
    /// All names, for advice.
    fn names(&self) -> Vec<&'static str>;
    /// Whether `name` is one that this version knows of but cannot speak to yet.
    fn planned(&self, name: &str) -> bool;
    /// Whether `name` is a part of the gate, which is reached without a connection.
    fn built_in(&self, name: &str) -> bool;
}
