//! Changes to holders: checked, written into the journal with before and after, kept in the registry, and in force.

use std::sync::Arc;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tollgate_core::access::{
    Holder, HolderKind, HolderRef, Key, KeyHash, KeySecret, KeySpec, Rotation, SpecError, Team, TeamSpec,
    User, UserSpec,
};
use tollgate_core::changes::{Changes, NotMade, unrecorded};
use tollgate_core::document::{Document as _, check_id};
use tollgate_core::ports::{Change, Clock, Journal, JournalError, Registry, Stored};
use tollgate_core::principal::Principal;
use tollgate_core::record::Entry;
use uuid::Uuid;

use crate::draft::patched;
use crate::ledger::Ledger;

/// Changes holders.
pub struct Registrar {
    pub(crate) ledger: Arc<Ledger>,
    changes: Changes<Holder>,
}

impl std::fmt::Debug for Registrar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Registrar")
    }
}

/// A holder as it is now.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The holder.
    pub holder: Holder,
    /// The change that made it what it is.
    pub change: Change,
}

/// A holder that was just made, or a key that was just rotated.
#[derive(Debug)]
pub struct Made {
    /// The holder.
    pub shown: Shown,
    /// The key, where it is one: shown this once.
    pub secret: Option<KeySecret>,
}

/// What is presented for a key.
#[derive(Debug)]
pub enum Presented {
    /// One that nobody can guess.
    New,
    /// One that somebody chose.
    Chosen(KeySecret),
    /// One that clients have from elsewhere, of which only this is known.
    Known {
        /// Its hash.
        hash: KeyHash,
        /// What people tell it apart by.
        prefix: String,
    },
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum RegistrarError {
    /// What was said cannot be.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// There is no such holder.
    #[error("there is no {0}")]
    Missing(HolderRef),
    /// There is one of that name, or that key, already.
    #[error("there is a {0} already, or a key with the same secret")]
    Exists(HolderRef),
    /// It is not what the caller thinks that it is.
    #[error("the {0} was changed meanwhile: read it again")]
    Stale(HolderRef),
    /// Others depend on it.
    #[error("the {0} cannot be removed: {1} keys belong to it; remove them first, or block it")]
    InUse(HolderRef, usize),
    /// It is no instance that can be released.
    #[error("{0}")]
    NoInstance(String),
    /// It is one that may still use what it has taken.
    #[error("{0}")]
    StillPresent(String),
    /// The registry, or the journal, is away.
    #[error("{0}")]
    Away(String),
}

impl RegistrarError {
    fn not_made(name: &HolderRef, error: NotMade) -> Self {
        match error {
            NotMade::Exists => Self::Exists(name.clone()),
            NotMade::Stale => Self::Stale(name.clone()),
            NotMade::Away(why) => Self::Away(why),
        }
    }
}

impl From<JournalError> for RegistrarError {
    fn from(error: JournalError) -> Self {
        Self::Away(unrecorded(&error))
    }
}

impl Registrar {
    /// Changes what `registry` keeps and `ledger` knows, and writes into `journal` what it changes.
    pub fn new(
        ledger: Arc<Ledger>,
        registry: Arc<dyn Registry>,
        journal: Arc<dyn Journal>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { ledger, changes: Changes::new(registry, journal, clock) }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.changes.now()
    }

    pub(crate) fn write(&self, entry: &Entry<'_>) -> Result<(), JournalError> {
        self.changes.write(entry)
    }

    /// What is asked about holders.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Makes a holder of `kind` of which `said` is said; its name is made up where none is given.
    pub async fn create(
        &self,
        by: &Principal,
        kind: HolderKind,
        id: Option<&str>,
        said: Value,
    ) -> Result<Made, RegistrarError> {
        self.create_with(by, kind, id, said, Presented::New).await
    }

    /// The same, where a key is presented so.
    pub async fn create_with(
        &self,
        by: &Principal,
        kind: HolderKind,
        id: Option<&str>,
        said: Value,
        presented: Presented,
    ) -> Result<Made, RegistrarError> {
        let now = self.now();
        let id: Arc<str> = match id {
            Some(id) => check_id(id)?.into(),
            None => format!("{}_{}", kind.name(), Uuid::now_v7().simple()).into(),
        };
        let name = HolderRef { kind, id: Arc::clone(&id) };
        if self.known()?.get(&name).is_some() {
            return Err(RegistrarError::Exists(name));
        }
        let (created_at, updated_at) = (now, now);
        let (holder, secret) = match kind {
            HolderKind::Key => {
                let (hash, prefix, secret) = self.presented(&name, presented)?;
                let spec = self.belonging(patched(&KeySpec::default(), said, now)?)?;
                let key = Key { id, hash, prefix, rotation: None, created_at, updated_at, spec };
                (Holder::Key(key), secret)
            }
            HolderKind::User => {
                let spec = patched(&UserSpec::default(), said, now)?;
                (Holder::User(User { id, created_at, updated_at, spec }), None)
            }
            HolderKind::Team => {
                let spec = patched(&TeamSpec::default(), said, now)?;
                (Holder::Team(Team { id, created_at, updated_at, spec }), None)
            }
        };
        let shown = self.keep(by, "create", None, holder).await?;
        Ok(Made { shown, secret })
    }

    /// What would be wrong with making such a holder, apart from whom it belongs to.
    pub fn could_make(&self, kind: HolderKind, id: Option<&str>, said: Value) -> Result<(), RegistrarError> {
        let now = self.now();
        id.map(check_id).transpose()?;
        match kind {
            HolderKind::Key => drop(patched(&KeySpec::default(), said, now)?),
            HolderKind::User => drop(patched(&UserSpec::default(), said, now)?),
            HolderKind::Team => drop(patched(&TeamSpec::default(), said, now)?),
        }
        Ok(())
    }

    /// Changes a holder by a merge patch (RFC 7396), where it is still what `expected` made it.
    pub async fn change(
        &self,
        by: &Principal,
        name: &HolderRef,
        expected: Option<Change>,
        patch: Value,
    ) -> Result<Shown, RegistrarError> {
        let before = self.expected(name, expected)?;
        let now = self.now();
        let after = match before.holder.clone() {
            Holder::Key(key) => {
                let spec = self.belonging(patched(&key.spec, patch, now)?)?;
                Holder::Key(Key { spec, updated_at: now, ..key })
            }
            Holder::User(user) => {
                Holder::User(User { spec: patched(&user.spec, patch, now)?, updated_at: now, ..user })
            }
            Holder::Team(team) => {
                Holder::Team(Team { spec: patched(&team.spec, patch, now)?, updated_at: now, ..team })
            }
        };
        self.keep(by, "change", Some(before), after).await
    }

    /// Gives a key a new secret; the one before is taken for `grace` longer.
    pub async fn rotate(
        &self,
        by: &Principal,
        name: &HolderRef,
        expected: Option<Change>,
        grace: SignedDuration,
    ) -> Result<Made, RegistrarError> {
        self.rotate_to(by, name, expected, grace, Presented::New).await
    }

    /// The same, where the new secret is presented so.
    pub async fn rotate_to(
        &self,
        by: &Principal,
        name: &HolderRef,
        expected: Option<Change>,
        grace: SignedDuration,
        presented: Presented,
    ) -> Result<Made, RegistrarError> {
        let before = self.expected(name, expected)?;
        let Some(key) = before.holder.as_key().cloned() else {
            return Err(RegistrarError::Missing(name.clone()));
        };
        let ((hash, prefix, secret), now) = (self.presented(name, presented)?, self.now());
        let until = now.saturating_add(grace).unwrap_or(Timestamp::MAX);
        let rotation = grace.is_positive().then_some(Rotation { hash: key.hash, until });
        let after = Key { hash, prefix, rotation, updated_at: now, ..key };
        let shown = self.keep(by, "rotate", Some(before), Holder::Key(after)).await?;
        Ok(Made { shown, secret })
    }

    /// Removes a holder that nobody depends on.
    pub async fn remove(
        &self,
        by: &Principal,
        name: &HolderRef,
        expected: Option<Change>,
    ) -> Result<(), RegistrarError> {
        let before = self.expected(name, expected)?;
        let belongs = |holder: &Holder| {
            let spec = holder.as_key().map(|key| &key.spec);
            let id = spec.and_then(|spec| match name.kind {
                HolderKind::Key => None,
                HolderKind::User => spec.user.as_ref(),
                HolderKind::Team => spec.team.as_ref(),
            });
            id == Some(&name.id)
        };
        let keys = self.ledger.page(HolderKind::Key, None, usize::MAX, belongs).holders.len();
        if keys > 0 {
            return Err(RegistrarError::InUse(name.clone(), keys));
        }
        let change = self.changes.remove(by, (&before.holder, before.change)).await;
        let change = change.map_err(|error| RegistrarError::not_made(name, error))?;
        self.ledger.take(Stored { name: name.clone(), change, document: None }, self.now());
        Ok(())
    }

    /// The holder, where it is still what `expected` made it.
    fn expected(&self, name: &HolderRef, expected: Option<Change>) -> Result<Shown, RegistrarError> {
        let listed = self.known()?.get(name).ok_or_else(|| RegistrarError::Missing(name.clone()))?;
        if expected.is_some_and(|expected| expected != listed.change) {
            return Err(RegistrarError::Stale(name.clone()));
        }
        Ok(Shown { holder: listed.account.holder.clone(), change: listed.change })
    }

    fn known(&self) -> Result<&Ledger, RegistrarError> {
        if self.ledger.is_ready() {
            Ok(&self.ledger)
        } else {
            Err(RegistrarError::Away("keys could not be read yet; try again in a moment".to_owned()))
        }
    }

    /// What is presented for the key called `name` from now on. Nothing opens two keys.
    fn presented(
        &self,
        name: &HolderRef,
        presented: Presented,
    ) -> Result<(KeyHash, String, Option<KeySecret>), RegistrarError> {
        let (hash, prefix, secret) = match presented {
            Presented::Known { hash, prefix } => (hash, prefix, None),
            Presented::New => shown_once(new_secret()?),
            Presented::Chosen(secret) => shown_once(secret),
        };
        match self.ledger.key(hash) {
            Some(_) => Err(RegistrarError::Exists(name.clone())),
            None => Ok((hash, prefix, secret)),
        }
    }

    /// A key belongs to whom there is.
    fn belonging(&self, spec: KeySpec) -> Result<KeySpec, RegistrarError> {
        for (member, kind, id) in
            [("user", HolderKind::User, &spec.user), ("team", HolderKind::Team, &spec.team)]
        {
            if let Some(id) = id
                && self.ledger.get(&HolderRef { kind, id: Arc::clone(id) }).is_none()
            {
                let why = format!("there is no {member} {id:?}");
                return Err(SpecError { member: member.to_owned(), why }.into());
            }
        }
        Ok(spec)
    }

    async fn keep(
        &self,
        by: &Principal,
        action: &str,
        before: Option<Shown>,
        after: Holder,
    ) -> Result<Shown, RegistrarError> {
        let name = after.name();
        let known = before.as_ref().map(|shown| (&shown.holder, shown.change));
        let change = self.changes.keep(by, action, known, &after).await;
        let change = change.map_err(|error| RegistrarError::not_made(&name, error))?;
        self.ledger.take(Stored { name, change, document: Some(after.clone()) }, self.now());
        Ok(Shown { holder: after, change })
    }
}

impl Shown {
    /// The holder as anybody may see it who may see it at all.
    pub fn visible(&self) -> Value {
        self.holder.visible()
    }
}

fn shown_once(secret: KeySecret) -> (KeyHash, String, Option<KeySecret>) {
    (secret.hash(), secret.prefix(), Some(secret))
}

fn new_secret() -> Result<KeySecret, RegistrarError> {
    let mut random = [0; 32];
    SystemRandom::new()
        .fill(&mut random)
        .map_err(|_| RegistrarError::Away("the system gave no random numbers".to_owned()))?;
    Ok(KeySecret::of(random))
}
