//! Changes to credentials. A secret is sent to the hosts only that it was given for: whoever names other hosts gives it
//! again.

use std::sync::Arc;

use serde_json::Value;
use tollgate_core::access::SpecError;
use tollgate_core::addition::{
    Addition, AdditionKind, AdditionRef, Credential, CredentialSpec, check_secret, hint,
};
use tollgate_core::document::check_id;
use tollgate_core::merge_patch::{merged, read};
use tollgate_core::ports::{Change, Stored};
use tollgate_core::principal::Principal;
use tollgate_core::secret::Secret;
use uuid::Uuid;

use crate::additions::Additions;
use crate::error::AdditionError;
use crate::seal;
use crate::shown::Shown;

impl Additions {
    /// Makes a credential with the secret in `said`; its name is made up where none is given.
    pub async fn create_credential(
        &self,
        by: &Principal,
        id: Option<&str>,
        mut said: Value,
    ) -> Result<Shown, AdditionError> {
        let id: Arc<str> = match id {
            Some(id) => check_id(id)?.into(),
            None => format!("credential_{}", Uuid::now_v7().simple()).into(),
        };
        let secret = given(&mut said)?.ok_or_else(|| wrong("secret", "it is missing"))?;
        let spec = spec(&CredentialSpec::default(), said)?;
        self.room_for(&named(&id))?;
        let (now, hint) = (self.changes.now(), hint(&secret));
        let sealed = self.sealed(&id, &spec, &secret)?;
        let (created_at, updated_at, secret_at) = (now, now, now);
        let credential = Credential { id, created_at, updated_at, secret_at, sealed, hint, spec };
        self.keep(by, "create", None, Addition::Credential(credential)).await
    }

    /// Changes a credential by a merge patch (RFC 7396), in which `secret` is a new secret, where it is still what
    /// `expected` made it. Whatever is changed, it is encrypted anew.
    pub async fn change_credential(
        &self,
        by: &Principal,
        id: &str,
        expected: Option<Change>,
        mut patch: Value,
    ) -> Result<Shown, AdditionError> {
        let before = self.expected(&named(id), expected)?;
        let Addition::Credential(credential) = before.addition.clone() else {
            return Err(AdditionError::Missing(named(id)));
        };
        let secret = given(&mut patch)?;
        let spec = spec(&credential.spec, patch)?;
        if secret.is_none() && spec.hosts != credential.spec.hosts {
            return Err(wrong("hosts", "the secret was given for other hosts: give `secret` again").into());
        }
        let updated_at = self.changes.now();
        let after = match secret {
            Some(secret) => {
                let (sealed, hint) = (self.sealed(id, &spec, &secret)?, hint(&secret));
                Credential { spec, sealed, hint, secret_at: updated_at, updated_at, ..credential }
            }
            None => {
                let sealed = self.sealed_anew(&credential)?;
                Credential { spec, sealed, updated_at, ..credential }
            }
        };
        self.leaves_models_in_service(&after, before.change)?;
        self.keep(by, "change", Some(before), Addition::Credential(after)).await
    }

    fn sealed(&self, id: &str, spec: &CredentialSpec, secret: &Secret) -> Result<String, AdditionError> {
        let state = self.state.lock();
        let key = state.file.secrets.key.as_ref().ok_or(AdditionError::NoKey)?;
        let sealed = seal::seal(key, id, &spec.hosts, secret);
        sealed.ok_or_else(|| AdditionError::Away("the secret could not be encrypted".to_owned()))
    }

    /// The same secret, encrypted with the key of now.
    fn sealed_anew(&self, credential: &Credential) -> Result<String, AdditionError> {
        let opened = seal::open(&self.state.lock().file.secrets, credential);
        let secret = opened.map_err(|why| wrong("secret", format!("{why}; give it again")))?;
        self.sealed(&credential.id, &credential.spec, &secret)
    }

    /// Whoever changes a credential does not break the models that use it by accident.
    fn leaves_models_in_service(&self, after: &Credential, change: Change) -> Result<(), AdditionError> {
        let state = self.ready()?;
        let mut known = state.known.clone();
        known.take(Stored {
            name: named(&after.id),
            change: change.saturating_add(1),
            document: Some(Addition::Credential(after.clone())),
        });
        let served = known.users(&after.id).filter(|model| !state.out.contains_key(&model.name));
        for model in served {
            self.resolve(&state.file, &known, model).map_err(|error| {
                wrong("hosts", format!("the model `{}` would be out of service: {error}", model.name))
            })?;
        }
        Ok(())
    }
}

/// The secret in what was said, which is taken out.
fn given(said: &mut Value) -> Result<Option<Secret>, SpecError> {
    match said.as_object_mut().and_then(|members| members.remove("secret")) {
        None => Ok(None),
        Some(Value::String(text)) => check_secret(&text).map(Some),
        Some(_) => Err(wrong("secret", "a text is expected")),
    }
}

fn spec(before: &CredentialSpec, patch: Value) -> Result<CredentialSpec, SpecError> {
    let spec: CredentialSpec = read(merged(before, patch, CredentialSpec::MEMBERS)?)?;
    spec.check()?;
    Ok(spec)
}

fn wrong(member: &str, why: impl Into<String>) -> SpecError {
    SpecError { member: member.to_owned(), why: why.into() }
}

fn named(id: &str) -> AdditionRef {
    AdditionRef { kind: AdditionKind::Credential, id: Arc::from(id) }
}
