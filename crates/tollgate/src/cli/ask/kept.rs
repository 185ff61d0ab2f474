//! Logins of the command line: at which gate, and with which tokens. A file for its user only.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::http::{Http, text};

/// A token that ends within so long is replaced before it is used.
const EARLY: SignedDuration = SignedDuration::from_secs(20);

/// A login at a gate.
#[derive(Clone, Deserialize, Serialize)]
pub(in crate::cli) struct Login {
    /// Who has given the tokens.
    pub(in crate::cli) issuer: String,
    pub(in crate::cli) client_id: String,
    pub(in crate::cli) token_endpoint: String,
    #[serde(default)]
    pub(in crate::cli) revocation_endpoint: Option<String>,
    pub(in crate::cli) access_token: String,
    pub(in crate::cli) ends: Timestamp,
    #[serde(default)]
    pub(in crate::cli) refresh_token: Option<String>,
}

/// Every login, by the address of its gate.
#[derive(Default)]
pub(in crate::cli) struct Kept {
    logins: BTreeMap<String, Login>,
}

fn path() -> Result<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = variable("XDG_CONFIG_HOME").or_else(|| variable("HOME").map(|home| home.join(".config")));
    Ok(folder.context("no place for logins: set XDG_CONFIG_HOME or HOME")?.join("tollgate/logins.json"))
}

impl Kept {
    /// Those that are kept; none where there is no place for them.
    pub(in crate::cli) fn read() -> Result<Self> {
        let Ok(path) = path() else { return Ok(Self::default()) };
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        let logins = serde_json::from_slice(&text)
            .with_context(|| format!("{} cannot be read; without it: tollgate login", path.display()))?;
        Ok(Self { logins })
    }

    /// Keeps `login` at the gate at `url`, or forgets it.
    pub(in crate::cli) fn keep(&mut self, url: &str, login: Option<Login>) -> Result<()> {
        match login {
            Some(login) => drop(self.logins.insert(url.to_owned(), login)),
            None => drop(self.logins.remove(url)),
        }
        let path = path()?;
        let folder = path.parent().context("no place for logins")?;
        std::fs::create_dir_all(folder)?;
        // Whole, and for nobody else at any moment.
        let mut file = tempfile::Builder::new().prefix(".logins").tempfile_in(folder)?;
        file.write_all(&serde_json::to_vec_pretty(&self.logins)?)?;
        file.persist(&path).with_context(|| path.display().to_string())?;
        Ok(())
    }

    /// The gates that somebody has signed in to.
    pub(in crate::cli) fn gates(&self) -> impl Iterator<Item = &str> {
        self.logins.keys().map(String::as_str)
    }

    /// The login at the gate at `url`.
    pub(in crate::cli) fn at(&self, url: &str) -> Option<&Login> {
        self.logins.get(url)
    }

    /// A token for the gate at `url` that is good now, where somebody has signed in there.
    pub(in crate::cli) async fn token(mut self, http: &Http, url: &str) -> Result<Option<String>> {
        let Some(login) = self.at(url).cloned() else { return Ok(None) };
        if Timestamp::now() + EARLY < login.ends {
            return Ok(Some(login.access_token));
        }
        let again = || format!("the login at {url} is over; sign in again: tollgate login");
        let refresh = login.refresh_token.clone().with_context(again)?;
        let form =
            [("grant_type", "refresh_token"), ("refresh_token", &*refresh), ("client_id", &*login.client_id)];
        let (status, said) = http.form(&login.token_endpoint, &form).await?;
        if status != 200 {
            let why =
                said["error_description"].as_str().or(said["error"].as_str()).unwrap_or("it says no more");
            return Err(anyhow::anyhow!("{why}")).with_context(again);
        }
        let fresh = login.with(&said)?;
        let token = fresh.access_token.clone();
        self.keep(url, Some(fresh))?;
        Ok(Some(token))
    }
}

impl Login {
    /// The same, with the tokens that `said` holds (RFC 6749 §5.1).
    pub(in crate::cli) fn with(mut self, said: &Value) -> Result<Self> {
        text(said, "access_token")?.clone_into(&mut self.access_token);
        let lasts = said["expires_in"].as_i64().unwrap_or(60);
        self.ends = Timestamp::now() + SignedDuration::from_secs(lasts.clamp(0, 86_400 * 365));
        if let Some(refresh) = said["refresh_token"].as_str() {
            self.refresh_token = Some(refresh.to_owned());
        }
        Ok(self)
    }
}
